# One image with both servers, static, on nothing, for linux/amd64 and linux/arm64:
#   docker buildx build --platform linux/amd64,linux/arm64 -t tidegate:0.1.0 .
# CI builds it so and tries it (make image-docker). The same without a container engine, and what a release has: make image.
FROM --platform=$BUILDPLATFORM rust:1.95.0-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
ARG TARGETARCH
WORKDIR /src
# The compiler of the other architecture, where it is another one.
RUN set -eu; \
    if [ "$(dpkg --print-architecture)" != "$TARGETARCH" ]; then \
        case "$TARGETARCH" in arm64) gnu=aarch64 deb=arm64 ;; amd64) gnu=x86-64 deb=amd64 ;; esac; \
        apt-get update; \
        apt-get install --yes --no-install-recommends "gcc-$gnu-linux-gnu" "libc6-dev-$deb-cross"; \
    fi
COPY rust-toolchain.toml ./
RUN case "$TARGETARCH" in arm64) rustup target add aarch64-unknown-linux-gnu ;; amd64) rustup target add x86_64-unknown-linux-gnu ;; esac
COPY . .
# dev for a quick look.
ARG PROFILE=release
RUN hack/image/programs.sh "$TARGETARCH" /image tidegate controller gateway

FROM scratch
COPY --from=build /image/controller /image/gateway /
# Nobody's: it owns no file, and the root file system can be read-only.
USER 65532:65532
# hack/release/version.sh compares it. Commit and address of the repository are not known in here: whoever builds says them.
ARG VERSION=0.1.0
ARG REVISION
ARG SOURCE
LABEL org.opencontainers.image.title=tidegate \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.source=$SOURCE
