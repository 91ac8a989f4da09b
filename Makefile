.DEFAULT_GOAL := help
# What is measured must not run beside what is compiled.
.NOTPARALLEL:
.PHONY: help demo setup check test lint fmt clippy doc deny manifests unit instructions instructions-anew fuzz bench picture container fresh release

CARGO_DENY_VERSION := 0.20.2
# Tools that the registry gives are kept here, compiled once, away from the project's own target.
TOOLS := .tools
CARGO_DENY := $(TOOLS)/bin/cargo-deny
CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_CYCLONEDX := $(TOOLS)/bin/cargo-cyclonedx
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(TOOLS)/bin/cargo-fuzz
# How long each target of `make fuzz` runs.
SECONDS := 60

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## See it work on this machine; make demo ARGS=--help says what there is to choose
	@scripts/demo $(ARGS)

# The picture in the README is what a real run wrote.
picture: $(TOOLS)/picture ## Draw docs/demo.svg anew, from a run of `make demo`
	$(MAKE) --no-print-directory demo > target/demo.txt
	(echo '$$ make demo'; cat target/demo.txt) | $(TOOLS)/picture/bin/python playground/picture.py docs/demo.svg 'make demo'

$(TOOLS)/picture:
	python3 -m venv $@
	$@/bin/pip install --quiet --no-deps rich==15.0.0 markdown-it-py==4.0.0 mdurl==0.1.2 pygments==2.19.2 \
		|| { rm -rf $@; exit 1; }

setup:
	@scripts/setup test

test: setup lint unit instructions ## Everything that CI runs: lint, every test, the count of instructions, the image where it can be run
	@if missing=$$(scripts/can-run-containers); then $(MAKE) --no-print-directory container; \
	else echo "container: the image was NOT built and NOT tested: $$missing" >&2; fi

check: fmt clippy ## For every day: format, clippy and the tests that start nothing, in a minute once all is compiled
	cargo test --workspace --locked --lib --bins --test docs --test pages

lint: fmt clippy doc deny ## Format, clippy, docs and dependencies, all without a warning

fmt: ## Check the format
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

# The allocator takes a minute to compile, which passes sooner beside the tests' compilation.
WITHOUT_ALLOCATOR := --no-default-features --features aws-flowlogs/igzip

clippy: ## Check with clippy, warnings are errors
	cargo clippy --workspace --all-targets --locked $(WITHOUT_ALLOCATOR) -- -D warnings

# The readers of these docs are those of the code, so private items are in them and may be linked to.
# Comments on the properties of a form are its descriptions too: text, in which a URL is no link and <region> no tag.
doc: ## Build the docs, warnings are errors
	RUSTDOCFLAGS="-D warnings -A rustdoc::bare_urls -A rustdoc::invalid_html_tags \
		-A rustdoc::private_intra_doc_links" \
		cargo doc --workspace --no-deps --document-private-items --locked $(WITHOUT_ALLOCATOR)

# The database of advisories is fetched from the network; where it cannot be, the rest is still checked, and said so.
deny: $(CARGO_DENY) ## Check licences, sources and advisories of the dependencies
	$(CARGO_DENY) --locked check --hide-inclusion-graph licenses bans sources
	@if $(CARGO_DENY) --locked fetch db 2>/dev/null; then $(CARGO_DENY) --locked check advisories; \
	else echo "deny: the database of advisories cannot be fetched here; advisories were NOT checked"; fi

# Not optimised: it runs for seconds and would compile for minutes.
$(CARGO_DENY):
	cargo install --debug --locked cargo-deny@$(CARGO_DENY_VERSION) --root $(TOOLS) --target-dir $(TOOLS)/target
	rm -rf $(TOOLS)/target

# Most tests wait for a process or a server: more of them than processors run at a time.
unit: ## Run every test, the ones of the manifests and of the pages included
	RUST_TEST_THREADS=16 cargo test --workspace --locked

# The whole workspace is named so that dependencies are those that the tests were compiled with. The crate that decodes is
# compiled once more, as a release is: optimised, without the checks that the tests have.
DECODER := profile.dev.package.flow-log
COUNT := cargo test --workspace --locked --quiet --bench instructions --config '$(DECODER).opt-level=3' \
	--config '$(DECODER).overflow-checks=false' --config '$(DECODER).debug-assertions=false' \
	--config '$(DECODER).codegen-units=1'

instructions: ## Count the instructions that decoding takes; needs valgrind
	$(COUNT)

instructions-anew: ## Write the table of these instructions anew, after a change that is worth it
	$(COUNT) -- --write

# With the binary of the tests: what is tested is the image, and the release takes minutes to compile. The whole workspace is
# named so that dependencies are those that the tests were compiled with.
container: ## Build the image and run the trigger in it; needs root, buildah and runc
	@missing=$$(scripts/can-run-containers) || { echo "container: $$missing" >&2; exit 1; }
	cargo test --workspace --locked --test container -- --ignored

fresh: ## Try `make demo` and `make test` in a bare Debian made on the spot; needs root and debootstrap
	@scripts/fresh

release: ## Make a release; make release ARGS="--dry-run minor" only says what it would do
	@scripts/release $(ARGS)

$(CARGO_CYCLONEDX):
	cargo install --locked cargo-cyclonedx@$(CARGO_CYCLONEDX_VERSION) --root $(TOOLS) --target-dir $(TOOLS)/target
	rm -rf $(TOOLS)/target

# The toolchain is the stable one, which has no sanitizer: what is found are panics, wrong results, hangs and greed for
# memory. New inputs go to target/fuzz; what is worth keeping is put into fuzz/corpus by hand, where `make unit` reads it.
fuzz: $(CARGO_FUZZ) ## Feed random bytes to all that reads bytes from outside; make fuzz SECONDS=300 for longer
	@for target in events object parquet state values; do \
		mkdir -p target/fuzz/$$target && \
		PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" cargo fuzz run -D -s none $$target \
			target/fuzz/$$target fuzz/corpus/$$target -- -max_total_time=$(SECONDS) -max_len=65536 -rss_limit_mb=1024 \
			|| exit 1; \
	done

$(CARGO_FUZZ):
	cargo install --locked cargo-fuzz@$(CARGO_FUZZ_VERSION) --root $(TOOLS) --target-dir $(TOOLS)/target
	rm -rf $(TOOLS)/target

bench: ## Measure how fast objects are decoded, what each step and what the whole process costs, beside gzip
	cargo bench --locked --package flow-log --bench decode
	cargo bench --locked --bench steps
	cargo bench --locked --bench process -- benches/RESULTS.md

manifests: ## Write the manifests, the playbook template and the tables of the pages anew
	cargo run --quiet --locked -- manifests --write .
