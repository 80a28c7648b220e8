#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a version, without its heading.
#   hack/release/notes.sh <version>
set -euo pipefail
cd "$(dirname "$0")/../.."

notes=$(awk -v version="$1" '/^## / {ours = $2 == version; next} ours' CHANGELOG.md)
if [ -z "${notes//[[:space:]]/}" ]; then
    echo "notes: CHANGELOG.md says nothing of $1" >&2
    exit 1
fi
echo "$notes"
