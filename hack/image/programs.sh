#!/usr/bin/env bash
# Builds both servers as static programs, the same bytes for the same sources wherever they lie.
#   hack/image/programs.sh <amd64|arm64> <folder>
#   PROFILE  release, or dev for a quick look
set -euo pipefail
arch=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
cd "$(dirname "$0")/../.."

case $arch in
    amd64) target=x86_64-unknown-linux-gnu ;;
    arm64) target=aarch64-unknown-linux-gnu ;;
    *) echo "image: $arch is no architecture of ours" >&2 && exit 1 ;;
esac
profile=${PROFILE:-release}
# Paths of this machine are no part of a program; a static program needs nothing else in the image.
export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$PWD=/tidegate --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
cargo build --locked --profile "$profile" --target "$target" --target-dir target/image --package tidegate --bin controller --bin gateway
built=target/image/$target/$([ "$profile" = dev ] && echo debug || echo "$profile")
install -m 755 -t "$folder" "$built/controller" "$built/gateway"
