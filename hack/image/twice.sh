#!/usr/bin/env bash
# Builds the image twice, each time from nothing and from sources in another folder, and compares the bytes. Takes as long as two builds
# and the disk of two.
#   hack/image/twice.sh <folder of the first layout>      with the settings of build.sh
set -euo pipefail
mkdir -p "$(dirname "$1")"
layout=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "$0")/../.."

# The second folder is no clone that knows its commit.
export REVISION=${REVISION-$(hack/image/revision.sh)}
again=$(mktemp -d "${TMPDIR:-/tmp}/image-again.XXXXXX")
trap 'rm -rf "$again"' EXIT
# What is tracked, as it lies here, with what has been changed and not committed.
git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read --files-from=- | tar -x -C "$again"
hack/image/build.sh "$layout"
"$again/hack/image/build.sh" "$again/layout"
if ! diff -r "$layout" "$again/layout"; then
    echo 'image: the same sources in another folder gave other bytes' >&2
    exit 1
fi
echo "image: the same bytes from two folders: $(sha256sum "$layout/index.json" | cut -d ' ' -f 1)"
