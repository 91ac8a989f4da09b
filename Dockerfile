# The image that the platform starts. `docs/release.md` says how it is made; by hand:
#
#   docker build --build-arg VERSION=<that of Cargo.toml> --tag aws-flowlogs .
#
# Both images are pinned by what they hold. The first has a C compiler, make and autotools beside Rust, for the allocator,
# the cryptography and the inflater. The second has glibc, libgcc and the certificates of public authorities, and nothing
# else to start: no shell, no package manager.
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f

# What decides about the dependencies, without the sources: it stays the same when only a source changes.
FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS skeleton
WORKDIR /project
COPY . .
RUN sh scripts/skeleton /skeleton

# Compiled on the machine that builds, for the one that the image is for: emulation would take hours.
FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS toolchain
ARG CARGO_AUDITABLE_VERSION=0.7.7
RUN cargo install --locked cargo-auditable@${CARGO_AUDITABLE_VERSION}
ARG BUILDARCH
ARG TARGETARCH
ARG NASM_VERSION=2.16.01-1
# For amd64, the inflater is written for this assembler; for arm64, for that of the compiler.
RUN if [ "$TARGETARCH" = amd64 ] && ! command -v nasm; then \
      apt-get update \
      && apt-get install -y --no-install-recommends nasm=${NASM_VERSION} \
      && rm -rf /var/lib/apt/lists/*; \
    fi
ARG CROSS_GCC_VERSION=4:12.2.0-3
ARG CROSS_LIBC_VERSION=2.36-8cross1
RUN if [ "$TARGETARCH" = arm64 ] && [ "$BUILDARCH" != arm64 ]; then \
      rustup target add aarch64-unknown-linux-gnu \
      && apt-get update \
      && apt-get install -y --no-install-recommends \
        gcc-aarch64-linux-gnu=${CROSS_GCC_VERSION} libc6-dev-arm64-cross=${CROSS_LIBC_VERSION} \
      && rm -rf /var/lib/apt/lists/*; \
    fi

FROM toolchain AS build
ARG TARGETARCH
WORKDIR /project
# Dependencies first, in a layer of their own: minutes that a change of a source does not cost again.
COPY --from=skeleton /skeleton .
RUN sh scripts/compile "$TARGETARCH"
COPY . .
ARG VERSION
RUN sh scripts/compile "$TARGETARCH" "$VERSION" /out

FROM ${RUNTIME_IMAGE}
# The playbook module's files are read from the working directory.
WORKDIR /app
COPY --chmod=0644 manifest.json trigger_fetch_flowlogs.json connector_s3_flowlogs.json action_push_events.json logo.svg ./
COPY --from=build --chmod=0755 /out/aws-flowlogs /usr/local/bin/aws-flowlogs
# The first user of an image, as in the platform's own modules: a storage that one of them wrote can be taken over.
USER 1000:1000
STOPSIGNAL SIGTERM
# Asks the trigger. A run of the action does not answer: start it with --no-healthcheck where health decides what stays.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/aws-flowlogs", "health"]
ENTRYPOINT ["/usr/local/bin/aws-flowlogs"]
# The version and the commit come last: they are all that differs between two builds of the same sources.
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="aws-flowlogs" \
      org.opencontainers.image.description="Playbook module that carries VPC Flow Logs from S3 to a Sekoia.io intake" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
