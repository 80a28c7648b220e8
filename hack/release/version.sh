#!/usr/bin/env bash
# Prints the version of this checkout, if Cargo.toml, the chart and the Dockerfile agree on it. With a tag, such as v0.1.0: the tag has to be of that
# version, and CHANGELOG.md has to have a section of it with its day.
#   hack/release/version.sh [tag]
set -euo pipefail
cd "$(dirname "$0")/../.."

failed=0
# agrees <where> <version there>
agrees() {
    if [ "$2" != "$version" ]; then
        echo "version: $1 says ${2:-nothing}, and Cargo.toml $version" >&2
        failed=1
    fi
}
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
agrees 'appVersion in charts/tidegate/Chart.yaml' "$(sed -n 's/^appVersion: "\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' charts/tidegate/Chart.yaml)"
agrees 'version in charts/tidegate/Chart.yaml' "$(sed -n 's/^version: "\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' charts/tidegate/Chart.yaml)"
agrees 'VERSION in Dockerfile' "$(sed -n 's/^ARG VERSION=//p' Dockerfile)"
if [ $# -gt 0 ]; then
    agrees "the tag $1" "$(sed -n 's/^v//p' <<< "$1")"
    if ! grep -qxE "## ${version//./\\.} - [0-9]{4}-[0-9]{2}-[0-9]{2}" CHANGELOG.md; then
        echo "version: CHANGELOG.md has no heading \"## $version - <day>\"" >&2
        failed=1
    fi
fi
[ "$failed" -eq 0 ] && echo "$version"
