#!/usr/bin/env bash
# Pushes what build.sh has made to a registry and signs it: image and chart, what the image is made of, and the sums of all files. Prints
# `image=<digest>` and `chart=<digest>`. cosign, crane and helm lie in the PATH, and are logged in.
#   hack/release/publish.sh <folder of build.sh> <registry and owner> [option of cosign]...
# Without options cosign signs without a key, with the identity of the workflow that runs this.
set -euo pipefail
folder=$(cd "$1" && pwd)
to=$2
options=(--yes "${@:3}")
cd "$(dirname "$0")/../.."

version=$(hack/release/version.sh)
(cd "$folder" && sha256sum --check --strict --quiet SHA256SUMS)
# Only a registry on this machine is talked to without TLS.
plain=()
case $to in localhost:* | 127.0.0.1:*) plain=(--plain-http) ;; esac

crane push "$folder/image" "$to/tidegate:$version" >&2
image=$(crane digest "$to/tidegate:$version")
if [ "$image" != "$(cat "$folder/image.digest")" ]; then
    echo "publish: the registry has $image, and $(cat "$folder/image.digest") was built" >&2
    exit 1
fi
helm push "$folder/tidegate-$version.tgz" "oci://$to/charts" "${plain[@]}" >&2
chart=$(crane digest "$to/charts/tidegate:$version")

# Signed is the digest, never a tag, which may be moved; that of each architecture too.
cosign sign "${options[@]}" --recursive "$to/tidegate@$image" >&2
cosign sign "${options[@]}" "$to/charts/tidegate@$chart" >&2
cosign attest "${options[@]}" --type spdxjson --predicate "$folder/tidegate-image-$version.spdx.json" "$to/tidegate@$image" >&2
cosign sign-blob "${options[@]}" --bundle "$folder/SHA256SUMS.sigstore.json" "$folder/SHA256SUMS" >&2
printf 'image=%s\nchart=%s\n' "$image" "$chart"
