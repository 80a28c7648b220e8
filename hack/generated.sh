#!/usr/bin/env bash
# Generated files must be what `make generate` writes.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cargo run --locked --quiet --bin crdgen -- write "$fresh" "$fresh/reference.md"
(cd hack/gitops && go run -mod=readonly . generate "$fresh/argocd")
(cd "$fresh/argocd" && find . -type f) | while IFS= read -r file; do
    diff -u "config/argocd/$file" "$fresh/argocd/$file" || {
        echo "config/argocd/$file is not what hack/gitops says: run 'make generate'" >&2
        exit 1
    }
done
rm -r "$fresh/argocd"
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
