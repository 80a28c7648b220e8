#!/usr/bin/env bash
# Checks an OCI layout of the image without a registry: every blob is what its digest says, the user is not root, both programs are static,
# are the only files, and run; the labels say what it is; and packing them again gives the same bytes. That compiling gives the same bytes
# is for twice.sh.
#   hack/image/check.sh <folder>      with the settings of build.sh
set -euo pipefail
layout=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

fail() {
    echo "image: $1" >&2
    exit 1
}
blob() { echo "$layout/blobs/sha256/${1#sha256:}"; }
# label <config> <name> <value>: what has no value is no label.
label() {
    local has
    has=$(grep -o "\"org.opencontainers.image.$2\": \"[^\"]*\"" "$1" || true)
    [ "$has" = "${3:+"\"org.opencontainers.image.$2\": \"$3\""}" ] || fail "label $2 should be \"$3\", and there is ${has:-none}"
}
digests() { grep -o 'sha256:[0-9a-f]\{64\}' "$1"; }

for file in "$layout"/blobs/sha256/*; do
    [ "$(sha256sum "$file" | cut -d ' ' -f 1)" = "$(basename "$file")" ] || fail "$file is not what its name says"
done
image=$(blob "$(digests "$layout/index.json")")
checked=0
for manifest in $(digests "$image"); do
    read -r config layer < <(digests "$(blob "$manifest")" | xargs)
    grep -q '"User": "65532:65532"' "$(blob "$config")" || fail 'the user is not 65532'
    label "$(blob "$config")" title tidegate
    label "$(blob "$config")" version "$(sed -n 's/^appVersion: //p' charts/tidegate/Chart.yaml)"
    label "$(blob "$config")" licenses Apache-2.0
    label "$(blob "$config")" revision "${REVISION-$(hack/image/revision.sh)}"
    label "$(blob "$config")" source "${SOURCE:-}"
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    tar -xz -C "$root" -f "$(blob "$layer")"
    [ "$(cd "$root" && find . -mindepth 1 | sort | xargs)" = './controller ./gateway' ] || fail 'there is more in the image than two programs'
    grep -q "$(sha256sum < <(gzip -dc "$(blob "$layer")") | cut -d ' ' -f 1)" "$(blob "$config")" || fail 'the layer is not the one of the config'
    for program in controller gateway; do
        # A static program names no interpreter and needs no library; position-independent ones have a dynamic section all the same.
        if readelf -lW "$root/$program" | grep -q INTERP || readelf -dW "$root/$program" | grep -q NEEDED; then
            fail "$program is not static"
        fi
        if grep -q "\"architecture\": \"$([ "$(uname -m)" = aarch64 ] && echo arm64 || echo amd64)\"" "$(blob "$config")"; then
            "$root/$program" --version
        fi
    done
    checked=$((checked + 1))
done
[ "$checked" -gt 0 ] || fail 'there is no image in it'
if again=$(mktemp -d) && hack/image/build.sh "$again/layout" > /dev/null; then
    diff -r "$layout" "$again/layout" > /dev/null || fail 'the same programs gave other bytes'
    rm -rf "$again"
fi
echo "image: $checked built, static, not root, packed alike twice; $(du -sh "$layout" | cut -f 1)"
