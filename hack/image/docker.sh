#!/usr/bin/env bash
# Builds the image of the Dockerfile with a container engine, and tries it: user, architecture and labels, and that both programs run
# where nothing can be written and nobody is reached.
#   hack/image/docker.sh      with the settings of build.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    echo "docker: $1" >&2
    exit 1
}
case $(uname -m) in aarch64) here=arm64 ;; *) here=amd64 ;; esac
version=$(sed -n 's/^appVersion: //p' charts/tidegate/Chart.yaml)
revision=${REVISION-$(hack/image/revision.sh)}
for arch in ${ARCHES:-$here}; do
    image=tidegate:$version-$arch
    docker buildx build --load --platform "linux/$arch" --tag "$image" --build-arg PROFILE="${PROFILE:-release}" \
        --build-arg REVISION="$revision" --build-arg SOURCE="${SOURCE:-}" .
    # is <what> <template> <value>
    is() {
        local has
        has=$(docker image inspect --format "$2" "$image")
        [ "$has" = "$3" ] || fail "$1 of $image should be \"$3\", and is \"$has\""
    }
    is 'the platform' '{{.Os}}/{{.Architecture}}' "linux/$arch"
    is 'the user' '{{.Config.User}}' 65532:65532
    for label in title=tidegate version="$version" licenses=Apache-2.0 revision="$revision" source="${SOURCE:-}"; do
        is "label ${label%%=*}" "{{index .Config.Labels \"org.opencontainers.image.${label%%=*}\"}}" "${label#*=}"
    done
    # Another architecture's would need an emulator.
    [ "$arch" = "$here" ] || continue
    for program in controller gateway; do
        says=$(docker run --rm --read-only --user 65532 --cap-drop ALL --network none "$image" "/$program" --version)
        [ "$says" = "$program $version" ] || fail "$program --version says $says"
    done
done
echo "docker: built for ${ARCHES:-$here}; both programs run read-only, as nobody"
