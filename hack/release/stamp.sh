#!/usr/bin/env bash
# Writes chart and install files as a release has them: they install the image of this release by its digest, which nobody can move, and
# their links lead to what was written for this version. The tree stays as it is.
#   tidegate/                             the chart, as Helm packs it
#   install.yaml, install-mutating.yaml   config/, rendered; `make lint` has compared these with the chart
# Usage: hack/release/stamp.sh <folder> <digest of the image>      with settings.sh; helm lies in the PATH
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
digest=$2
cd "$(dirname "$0")/../.."
. hack/release/settings.sh
setting digest 'sha256:[0-9a-f]{64}' 'sha256:<64 digits>'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# line <file> <line> <times> <what it becomes>: a file that was written differently is refused, not left as it is.
line() {
    local times
    times=$(grep -cxF -- "$2" "$1" || true)
    if [ "$times" != "$3" ]; then
        echo "stamp: $1 should have the line \"$2\" $3 times, and has it $times times: write it so, or change hack/release/stamp.sh" >&2
        exit 1
    fi
    awk -v line="$2" -v becomes="$4" '$0 == line {print becomes; next} {print}' "$1" > "$work/stamped"
    cat "$work/stamped" > "$1"
}
image=$REGISTRY/tidegate@$digest

cp -r charts/tidegate "$work/tidegate"
chart=$work/tidegate
line "$chart/values.yaml" '  repository: tidegate' 1 "  repository: $REGISTRY/tidegate"
line "$chart/values.yaml" '  digest: ""' 1 "  digest: $digest"
line "$chart/Chart.yaml" 'annotations:' 1 "annotations:\n  artifacthub.io/images: |\n    - {name: tidegate, image: \"$image\"}"
if [ -n "$SOURCE" ]; then
    # Alerts put the name of the runbook behind it, and so does the dashboard.
    line "$chart/values.yaml" '    runbookBaseUrl: ""' 1 "    runbookBaseUrl: $SOURCE/blob/v$version/docs/runbooks"
    line "$chart/Chart.yaml" 'type: application' 1 "type: application\nhome: $SOURCE\nsources: [$SOURCE]"
fi
# Its README names the values it has now.
cargo run --locked --quiet --package tidegate-chartgen -- readme "$chart"
helm package "$chart" --destination "$work" > /dev/null
rm -rf "$folder/tidegate"
tar -xz --touch -C "$folder" -f "$work/tidegate-$version.tgz"

cp install.yaml install-mutating.yaml "$folder"
line "$folder/install.yaml" "        image: tidegate:$version" 2 "        image: $image"
