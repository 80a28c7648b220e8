#!/usr/bin/env bash
# Builds the image without a container engine, as an OCI layout: two static programs in one layer on nothing, a fixed user, and the same
# bytes for the same sources.
#   hack/image/build.sh <folder>
#   ARCHES   amd64 and arm64; this machine's alone by default. Another one needs a C compiler for it (programs.sh says which).
#   PROFILE  release, or dev for a quick look (programs.sh)
#   SOURCE   address of the repository, for a label; REVISION the commit, for another (revision.sh)
set -euo pipefail
layout=$1
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^appVersion: //p' charts/tidegate/Chart.yaml)
case $(uname -m) in aarch64) here=arm64 ;; *) here=amd64 ;; esac
# label <name> <value>: nothing where the value is not known.
label() { [ -z "$2" ] || printf ', "org.opencontainers.image.%s": "%s"' "$1" "$2"; }
labels=$(label version "$version"; label licenses Apache-2.0; label revision "${REVISION-$(hack/image/revision.sh)}"; label source "${SOURCE:-}")

# put <file>: moves it to its place by digest and prints `"digest": ..., "size": ...`.
put() {
    local digest size
    digest=$(sha256sum "$1" | cut -d ' ' -f 1)
    size=$(stat -c %s "$1")
    mv "$1" "$layout/blobs/sha256/$digest"
    printf '"digest": "sha256:%s", "size": %s' "$digest" "$size"
}

rm -rf "$layout"
mkdir -p "$layout/blobs/sha256"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
manifests=()
for arch in ${ARCHES:-$here}; do
    hack/image/programs.sh "$arch" "$work/root" tidegate controller gateway
    tar -c -C "$work/root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar controller gateway > "$work/layer.tar"
    diff_id=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
    gzip -n -9 "$work/layer.tar"
    layer=$(put "$work/layer.tar.gz")
    cat > "$work/config.json" <<JSON
{"architecture": "$arch", "os": "linux", "created": "1970-01-01T00:00:00Z",
 "config": {"User": "65532:65532", "Labels": {"org.opencontainers.image.title": "tidegate"$labels}},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$diff_id"]}}
JSON
    cat > "$work/manifest.json" <<JSON
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
 "config": {"mediaType": "application/vnd.oci.image.config.v1+json", $(put "$work/config.json")},
 "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", $layer}]}
JSON
    manifests+=("{\"mediaType\": \"application/vnd.oci.image.manifest.v1+json\", $(put "$work/manifest.json"), \"platform\": {\"architecture\": \"$arch\", \"os\": \"linux\"}}")
done
joined=$(printf ', %s' "${manifests[@]}")
cat > "$work/image.json" <<JSON
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [${joined:2}]}
JSON
cat > "$layout/index.json" <<JSON
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
 {"mediaType": "application/vnd.oci.image.index.v1+json", $(put "$work/image.json"),
  "annotations": {"org.opencontainers.image.ref.name": "$version"}}]}
JSON
echo '{"imageLayoutVersion": "1.0.0"}' > "$layout/oci-layout"
sha256sum "$layout/index.json"
