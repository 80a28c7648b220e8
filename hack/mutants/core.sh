#!/usr/bin/env bash
# Changes approval.rs and lifecycle.rs of core (core.toml says which files) in one place after the other, with cargo-mutants. Every
# mutant must turn a test red, or be listed in core-survivors.md with its reason; one that is listed and does not survive is an
# error too. The tables are tried first, in half a second a mutant; what they miss has to face the properties and the model.
set -euo pipefail
cd "$(dirname "$0")/../.."

listed=hack/mutants/core-survivors.md
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# cargo-mutants says 2 for "some were missed" and 3 for "some never ended": both are read from its lists below.
try() {
    local status=0
    cargo mutants --config hack/mutants/core.toml --package tidegate-core --timeout 300 --no-shuffle --output "$out" "${@:2}" \
        -- --locked --lib -- $1 || status=$?
    case $status in 0 | 2 | 3) ;; *) exit "$status" ;; esac
}

# Lines and columns move with every edit. A mutant is named by its file, what was changed in which function, and its number among
# those that read the same.
names() {
    sed -E 's/^([^:]+):[0-9]+:[0-9]+: /\1: /' | awk '{ n = ++seen[$0]; print $0 (n > 1 ? " (" n ")" : "") }'
}
named() { # the lines of a file, as names
    paste -d '\t' "$out/all" <(names < "$out/all") | awk -F '\t' 'NR == FNR { want[$0]; next } $1 in want { print $2 }' "$1" - | sort
}

try 'approval lifecycle acceptance --skip model --skip properties'
try '' --iterate
cargo mutants --config hack/mutants/core.toml --package tidegate-core --list > "$out/all"

named "$out/mutants.out/missed.txt" > "$out/survivors"
sed -n 's/^## //p' "$listed" | sort > "$out/listed"
printf '%s of %s mutants survive\n' "$(wc -l < "$out/survivors")" "$(wc -l < "$out/all")"
if ! diff -u --label listed "$out/listed" --label survivors "$out/survivors"; then
    echo "$listed and the survivors differ: write a test for what is new (+), or its reason; take out what is gone (-)" >&2
    exit 1
fi
