#!/usr/bin/env bash
# Builds all that a release consists of, unsigned, the same bytes for the same commit, compilers and tools:
#   image/                                    the image, an OCI layout; image.digest is its digest
#   tidegate-<version>.tgz                    the chart; it installs this image, by its digest
#   install.yaml, install-mutating.yaml       the same for kubectl
#   tidegate-agent-<version>-linux-*.tar.gz   the agent, static, one for each architecture
#   tidegate-*-<version>.spdx.json            what image and agent are made of
#   SHA256SUMS                                of all these files
# Usage: hack/release/build.sh <folder>      with settings.sh and PROFILE of hack/image/build.sh; helm lies in the PATH
set -euo pipefail
rm -rf "$1"
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

. hack/release/settings.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# pack <folder> <archive> <name>...: the same bytes whoever packs it and when.
pack() {
    tar -c -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar "${@:3}" | gzip -n -9 > "$2"
}

hack/image/build.sh "$folder/image"
grep -o 'sha256:[0-9a-f]\{64\}' "$folder/image/index.json" > "$folder/image.digest"
hack/release/sbom.sh "tidegate-image-$version" tidegate > "$folder/tidegate-image-$version.spdx.json"

for arch in $ARCHES; do
    hack/image/programs.sh "$arch" "$work/agent-$arch" tidegate-agent tidegate-agent
    cp LICENSE "$work/agent-$arch"
    pack "$work/agent-$arch" "$folder/tidegate-agent-$version-linux-$arch.tar.gz" LICENSE tidegate-agent
done
hack/release/sbom.sh "tidegate-agent-$version" tidegate-agent > "$folder/tidegate-agent-$version.spdx.json"

hack/release/stamp.sh "$work/stamped" "$(cat "$folder/image.digest")"
# Helm itself packs with the time of the day.
pack "$work/stamped" "$folder/tidegate-$version.tgz" tidegate
cp "$work/stamped"/*.yaml "$folder"

(cd "$folder" && find . -maxdepth 1 -type f -printf '%f\n' | LC_ALL=C sort | xargs sha256sum > "$work/sums" && mv "$work/sums" SHA256SUMS)
cat "$folder/SHA256SUMS"
