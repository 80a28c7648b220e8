# The settings of a release, the same for whoever builds it and whoever checks it; read with `.` in the root of the checkout.
#   ARCHES    amd64 and arm64; this machine's alone by default
#   REGISTRY  where the image will lie, such as ghcr.io/owner; chart and install.yaml name it. localhost:5000 by default, which is no
#             place for anybody else.
#   SOURCE    address of the repository on GitHub, such as https://github.com/owner/tidegate; without it image and chart link to nothing
#   REVISION  the commit (hack/image/revision.sh)
case $(uname -m) in aarch64) here=arm64 ;; *) here=amd64 ;; esac
export ARCHES=${ARCHES:-$here}
export REGISTRY=${REGISTRY:-localhost:5000}
export SOURCE=${SOURCE:-}
version=$(hack/release/version.sh)

# setting <name> <pattern of the whole value> <example>: these go into files as they are.
setting() {
    local LC_ALL=C
    if ! [[ ${!1} =~ ^($2)$ ]]; then
        echo "release: $1 is ${!1}, and should be like $3" >&2
        exit 1
    fi
}
setting REGISTRY '[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*' 'ghcr.io/owner, in small letters'
setting SOURCE '|https://[A-Za-z0-9.-]+(/[A-Za-z0-9._-]+)+' https://github.com/owner/tidegate
