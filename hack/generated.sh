#!/usr/bin/env bash
# Generated files must be what `make generate` writes.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cargo run --locked --quiet --bin crdgen -- write "$fresh" "$fresh/reference.md"
for file in "$fresh"/*; do
    name=$(basename "$file")
    committed=crds/$name
    if [ "$name" = reference.md ]; then
        committed=docs/$name
    fi
    diff -u "$committed" "$file" || {
        echo "$committed is not what crates/api says: run 'make generate'" >&2
        exit 1
    }
done
