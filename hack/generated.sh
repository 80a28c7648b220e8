#!/usr/bin/env bash
# Generated files must be what `make generate` writes.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
generated=(crds charts config docs/reference.md docs/metrics.md install.yaml install-mutating.yaml)
tar -c "${generated[@]}" | tar -x -C "$fresh"
hack/generate.sh "$fresh"
for path in "${generated[@]}"; do
    diff -ru "$path" "$fresh/$path" || {
        echo "$path is not what the code and charts/tidegate say: run 'make generate'" >&2
        exit 1
    }
done
