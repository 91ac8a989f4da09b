.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt clippy doc deny manifests unit

CARGO_DENY_VERSION := 0.20.2
# Tools that the registry gives are kept here, compiled once, away from the project's own target.
TOOLS := .tools
CARGO_DENY := $(TOOLS)/bin/cargo-deny

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Not the release build: that takes minutes more, and this is about what arrives, not how fast.
demo: ## See it work on this machine; make demo ARGS=--help says what there is to choose
	cargo build --locked --bin aws-flowlogs --example playground
	@cargo run --locked --quiet --example playground -- $(ARGS)

test: lint unit ## Everything that CI runs: lint, then every test

lint: fmt clippy doc deny ## Format, clippy, docs and dependencies, all without a warning

fmt: ## Check the format
	cargo fmt --all --check

clippy: ## Check with clippy, warnings are errors
	cargo clippy --workspace --all-targets --locked -- -D warnings

# The readers of these docs are those of the code, so private items are in them and may be linked to.
# Comments on the properties of a form are its descriptions too: text, in which a URL is no link and <region> no tag.
doc: ## Build the docs, warnings are errors
	RUSTDOCFLAGS="-D warnings -A rustdoc::bare_urls -A rustdoc::invalid_html_tags \
		-A rustdoc::private_intra_doc_links" \
		cargo doc --workspace --no-deps --document-private-items --locked

# The database of advisories is fetched from the network; where it cannot be, the rest is still checked, and said so.
deny: $(CARGO_DENY) ## Check licences, sources and advisories of the dependencies
	$(CARGO_DENY) --locked check --hide-inclusion-graph licenses bans sources
	@if $(CARGO_DENY) --locked fetch db 2>/dev/null; then $(CARGO_DENY) --locked check advisories; \
	else echo "deny: the database of advisories cannot be fetched here; advisories were NOT checked"; fi

$(CARGO_DENY):
	cargo install --locked cargo-deny@$(CARGO_DENY_VERSION) --root $(TOOLS) --target-dir $(TOOLS)/target
	rm -rf $(TOOLS)/target

unit: ## Run every test, the ones of the manifests and of the README included
	cargo test --workspace --locked

manifests: ## Write the manifests, the playbook template and the README's tables anew
	cargo run --quiet --locked -- manifests --write .
