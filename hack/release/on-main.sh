#!/usr/bin/env bash
# A release is made of a commit that is on main: of what was reviewed, and of nothing else that somebody has put a tag on.
#   hack/release/on-main.sh      in a clone with all of main
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! git merge-base --is-ancestor HEAD refs/remotes/origin/main; then
    echo "release: $(git rev-parse HEAD) is not on main" >&2
    exit 1
fi
