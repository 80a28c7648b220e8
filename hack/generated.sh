#!/usr/bin/env bash
# Generated files must be what `make generate` writes.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cargo run --locked --quiet --bin crdgen -- "$fresh"
for file in "$fresh"/*.yaml; do
    diff -u "crds/$(basename "$file")" "$file" || {
        echo "crds/ is not what crates/api says: run 'make generate'" >&2
        exit 1
    }
done
