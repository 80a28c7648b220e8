#!/bin/sh
# Builds promtool and prometheus from their Go module into a cached folder, and prints that folder as the only line on stdout.
# Progress goes to stderr. The cache lies outside the checkout, so that every clone shares it; what is built is not built again.
# Service discovery is left out: the tests scrape addresses they know.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/^.*github.com\/prometheus\/prometheus v\([0-9.]*\).*$/\1/p' "$here/go.mod")
folder=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/prometheus/v$version

for name in promtool prometheus; do
    [ -x "$folder/$name" ] && continue
    command -v go >/dev/null || { echo "prometheus: go is not installed; it is needed to build $name" >&2; exit 1; }
    echo "prometheus: building $name v$version into $folder; once, about 4 minutes on two cores" >&2
    mkdir -p "$folder"
    temporary=$folder/.$name.$$
    trap 'rm -f "$temporary"' EXIT
    (cd "$here" && CGO_ENABLED=0 GOFLAGS= go build -mod=readonly -buildvcs=false -trimpath -tags remove_all_sd \
        -ldflags '-s -w' -o "$temporary" "github.com/prometheus/prometheus/cmd/$name" >&2)
    mv "$temporary" "$folder/$name"
done
echo "$folder"
