#!/usr/bin/env bash
# Builds programs of one package as static ones, the same bytes for the same sources wherever they lie.
#   hack/image/programs.sh <amd64|arm64> <folder> <package> <program>...
#   PROFILE  release, or dev for a quick look
# Leaves in target/image/<package>-<architecture>.compiled, as name@version, every crate that was compiled into them.
set -euo pipefail
arch=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
package=$3
programs=("${@:4}")
cd "$(dirname "$0")/../.."

case $arch in
    amd64) target=x86_64-unknown-linux-gnu gnu=x86_64 deb=x86-64 ;;
    arm64) target=aarch64-unknown-linux-gnu gnu=aarch64 deb=aarch64 ;;
    *) echo "image: $arch is no architecture of ours" >&2 && exit 1 ;;
esac
if [ "$(uname -m)" != "$gnu" ]; then
    # The compiler of the other architecture, for C and for linking.
    linker=$gnu-linux-gnu-gcc
    if ! command -v "$linker" > /dev/null; then
        echo "image: no $linker, which builds for $arch here; on Debian and Ubuntu: apt-get install gcc-$deb-linux-gnu libc6-dev-$arch-cross" >&2
        exit 1
    fi
    export "CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<< "$target")_LINKER=$linker"
fi
[ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] || rustup target add "$target"

profile=${PROFILE:-release}
built=target/image/$target/$([ "$profile" = dev ] && echo debug || echo "$profile")
# Paths of this machine are no part of a program; a static program needs nothing else in the image.
export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$PWD=/tidegate --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
# mimalloc tells when it was compiled; a C compiler takes this for the time (reproducible-builds.org/specs/source-date-epoch).
export SOURCE_DATE_EPOCH=0
mkdir -p target/image
cargo build --locked --profile "$profile" --target "$target" --target-dir target/image --package "$package" "${programs[@]/#/--bin=}" \
    --message-format json-render-diagnostics > "target/image/$package-$arch.json"
# What was compiled for the machine that builds (procedural macros, build scripts) lies elsewhere. A package whose folder bears its
# name is listed by its version alone.
grep '"reason":"compiler-artifact"' "target/image/$package-$arch.json" | grep "\"filenames\":\[\"[^]]*/$built/" |
    sed 's/.*"package_id":"\([^"]*\)".*/\1/; s|.*/\([^/#]*\)#\([0-9][^@]*\)$|\1@\2|; s/.*#//' | LC_ALL=C sort -u > "target/image/$package-$arch.compiled"
install -m 755 -t "$folder" "${programs[@]/#/$built/}"
