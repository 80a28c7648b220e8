#!/usr/bin/env bash
# Prints what the programs of a package are made of, as SPDX 2.3: every crate that is linked in, with version, licence and checksum, and
# the two libraries that come with the compilers. The same bytes for the same commit, compilers and architectures.
#   hack/release/sbom.sh <name of the document> <package>
#   ARCHES             amd64 and arm64; this machine's alone by default
#   SOURCE_DATE_EPOCH  when it was made, in seconds; by default the time of the last commit
set -euo pipefail
name=$1
package=$2
cd "$(dirname "$0")/../.."

case $(uname -m) in aarch64) here=arm64 ;; *) here=amd64 ;; esac
options=()
for arch in ${ARCHES:-$here}; do
    case $arch in amd64) gnu=x86_64 ;; arm64) gnu=aarch64 ;; *) echo "sbom: $arch is no architecture of ours" >&2 && exit 1 ;; esac
    compiler=cc
    [ "$(uname -m)" = "$gnu" ] || compiler=$gnu-linux-gnu-gcc
    glibc=$("$compiler" -dM -E -include features.h -x c /dev/null |
        awk '/ __GLIBC__ / {major = $3} / __GLIBC_MINOR__ / {minor = $3} END {print major "." minor}')
    options+=(--target "$gnu-unknown-linux-gnu" --library "glibc@$glibc@LGPL-2.1-or-later")
done
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" +%FT%TZ)
cargo run --locked --quiet --package tidegate-sbom -- write --name "$name" --package "$package" --created "$created" \
    --library "rust-std@$(rustc --version | cut -d ' ' -f 2)@MIT OR Apache-2.0" "${options[@]}"
