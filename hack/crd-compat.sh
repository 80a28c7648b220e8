#!/usr/bin/env bash
# The definitions must not break what the last commit on main allowed: there is no conversion between versions. What is wanted all
# the same stands in hack/crd-breaks.allow with its reason.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "crds: not compared with an older commit: $1"
    exit 0
}

git rev-parse --quiet --verify 'HEAD^{commit}' > /dev/null 2>&1 || skip 'this is no clone with a commit'
base=$(git merge-base main HEAD 2> /dev/null || git merge-base origin/main HEAD 2> /dev/null || git rev-parse HEAD)
if [ "$base" = "$(git rev-parse HEAD)" ] && [ -z "$(git status --porcelain -- crds crates/api)" ]; then
    # On main with nothing changed: what the last commit did.
    base=$(git rev-parse --quiet --verify 'HEAD^{commit}^') || skip 'the commit before this one is not in this clone'
fi
[ -n "$(git ls-tree "$base" crds/)" ] || skip "there are no definitions in ${base:0:12}"

old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$base" crds | tar -x -C "$old"
cargo run --locked --quiet --bin crdgen -- compare "$old/crds" hack/crd-breaks.allow
