#!/usr/bin/env bash
# The arrows inside src that the compiler does not enforce (docs/layout.md). Each line of the tables is a rule.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
complain() {
    echo "arrows: $1" >&2
    failed=1
}

# must_not <pattern> <why> <file or folder>...: no source line there matches, comments apart.
must_not() {
    local pattern=$1 why=$2
    shift 2
    local found
    found=$(grep -rnE --include='*.rs' --exclude=tests.rs "$pattern" "$@" | grep -vE '^[^:]+:[0-9]+:\s*//' || true)
    if [ -n "$found" ]; then
        complain "$why"$'\n'"$found"
    fi
}

must_not 'crate::gateway' 'the controller must not import the gateway' src/controller.rs src/controller
must_not 'crate::controller' 'the gateway must not import the controller' src/gateway.rs src/gateway
must_not 'crate::signing' 'only the controller signs' src/gateway.rs src/gateway src/runtime.rs src/runtime src/convert.rs src/convert
must_not 'crate::(controller|gateway)' 'shared modules must not import a server' \
    src/args.rs src/audit.rs src/clock.rs src/csr.rs src/metrics.rs src/metrics src/runtime.rs src/runtime src/telemetry.rs src/telemetry src/traces.rs src/signing.rs src/convert.rs src/convert
must_not '\b(axum|hyper|http)::' 'index, manifest and convert know no HTTP' src/gateway/index.rs src/gateway/manifest.rs src/convert.rs src/convert
must_not '\b(opentelemetry\w*|tonic)::' 'OpenTelemetry breaks often: only telemetry/otlp.rs knows it' \
    $(find src -name '*.rs' ! -path src/telemetry/otlp.rs)

# Who may write to Kubernetes.
writers='^src/(controller/(apply|certificate|events|keys|lease|guard/.*)|gateway/(enroll|report)(/.*)?)(\.rs)?$'
while IFS= read -r file; do
    if ! [[ ${file#./} =~ $writers ]]; then
        complain "$file writes to Kubernetes; only controller/{apply,certificate,events,keys,lease,guard/*}.rs and gateway/{enroll,report}.rs may"
    fi
done < <(grep -rlE --include='*.rs' '(PostParams|PatchParams|DeleteParams|recorder\.publish)\b' src || true)

# One reader of clocks per crate is clippy's (clippy.toml); here: nobody else may lift the ban.
while IFS= read -r file; do
    case $file in
        */clock.rs | tests/support/* | src/*/tests.rs | tests/* | crates/*/tests.rs | crates/*/tests/*) ;;
        *) complain "$file lifts the ban on clocks and settings; only clock.rs and tests/support may" ;;
    esac
done < <(grep -rlE --include='*.rs' 'expect\(\s*clippy::disallowed_methods' src crates tests || true)

if [ "$failed" -ne 0 ]; then
    exit 1
fi
echo 'arrows: every module imports and writes only what it may'
