#!/usr/bin/env bash
# Generated files must be what `make generate` writes.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cargo run --locked --quiet --bin crdgen -- write "$fresh" "$fresh/reference.md"
cargo run --locked --quiet --bin monitoring -- metrics "$fresh/metrics.md"
cargo run --locked --quiet --bin monitoring -- dashboard hack/monitoring/dashboard.yaml "$fresh/dashboard.json"
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
    case $name in
        *.md) committed=docs/$name ;;
        *.json) committed=charts/tidegate/files/$name ;;
    esac
    diff -u "$committed" "$file" || {
        echo "$committed is not what the code says: run 'make generate'" >&2
        exit 1
    }
done
