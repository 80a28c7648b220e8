#!/usr/bin/env bash
# Checks what build.sh has made, without publishing it: image, what it is made of, the agent, and what chart and install.yaml install; then
# signs it with a key that is thrown away, pushes it to a registry on this machine and types what docs/verify.md says, once for what was
# signed and once for what was changed afterwards, which has to be refused. cosign, crane and helm lie in the PATH.
#   hack/release/check.sh <folder of build.sh>      with the settings of build.sh
set -euo pipefail
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

fail() {
    echo "release: $1" >&2
    exit 1
}
. hack/release/settings.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- what was built ---

hack/image/check.sh "$folder/image"
cargo build --locked --quiet --package tidegate-sbom
for made in image:tidegate agent:tidegate-agent; do
    target/debug/sbom check "$folder/tidegate-${made%:*}-$version.spdx.json" $(printf "target/image/${made#*:}-%s.compiled " $ARCHES)
done
for arch in $ARCHES; do
    mkdir "$work/$arch"
    tar -xz -C "$work/$arch" -f "$folder/tidegate-agent-$version-linux-$arch.tar.gz"
    ! readelf -lW "$work/$arch/tidegate-agent" | grep -q INTERP || fail "the agent for $arch is not static"
    if [ "$arch" = "$here" ]; then
        [ "$("$work/$arch/tidegate-agent" --version)" = "tidegate-agent $version" ] || fail 'the agent is of another version'
    fi
done

# --- what is installed ---

# render <chart>
render() {
    helm template tidegate "$1" --namespace tidegate-system --kube-version 1.36.0 --skip-tests \
        --set monitoring.rules.enabled=true --set monitoring.dashboard.enabled=true
}
# images <file>: each with the number of its lines.
images() { sed -n 's/^ *image: "\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$1" | sort | uniq -c | xargs; }
digest=$(cat "$folder/image.digest")
image=$REGISTRY/tidegate@$digest
chart=$folder/tidegate-$version.tgz
render "$chart" > "$work/rendered.yaml"
# The two Deployments, by chart and by file alike.
for installed in "$work/rendered.yaml" "$folder/install.yaml"; do
    [ "$(images "$installed")" = "2 $image" ] || fail "$(basename "$installed") should install 2 $image, and installs $(images "$installed")"
done
# But for the image the files are those of the tree, which `make lint` has compared with the chart.
sed "s|$image|tidegate:$version|" "$folder/install.yaml" | cmp - install.yaml || fail 'install.yaml is another one'
cmp "$folder/install-mutating.yaml" install-mutating.yaml || fail 'install-mutating.yaml is another one'
for file in install.yaml install-mutating.yaml; do
    grep -q "  $file\$" "$folder/SHA256SUMS" || fail "SHA256SUMS does not name $file"
done
helm show chart "$chart" > "$work/chart.yaml"
grep -qF "image: \"$image\"" "$work/chart.yaml" || fail 'the chart does not tell its image'
helm show readme "$chart" | grep -qF "\`image.digest\` | \`\"$digest\"\`" || fail 'the README of the chart names other values'
# Every alert has a link, and each leads to a page of this version.
sed -n 's/^ *runbook_url: //p' "$work/rendered.yaml" > "$work/runbooks"
[ "$(wc -l < "$work/runbooks")" -eq "$(grep -c '^ *- alert: ' "$work/rendered.yaml")" ] && [ -s "$work/runbooks" ] || fail 'an alert has no runbook'
while read -r link; do
    page=${link#"${SOURCE:+$SOURCE/blob/v$version/}"}
    [ -f "$page" ] || fail "$link leads nowhere"
done < "$work/runbooks"
grep -qF "\"${SOURCE:+$SOURCE/blob/v$version/}docs/runbooks\"" "$work/rendered.yaml" || fail 'the dashboard links to other runbooks'
home=$(sed -n 's/^home: //p' "$work/chart.yaml")
[ "$home" = "$SOURCE" ] || fail "the home of the chart should be \"$SOURCE\", and is \"$home\""

# --- what is signed ---

for key in ours strange; do
    COSIGN_PASSWORD='' cosign generate-key-pair --output-key-prefix "$work/$key" 2> "$work/key.log" || fail "no key: $(cat "$work/key.log")"
done
crane registry serve --address 127.0.0.1:0 2> "$work/registry.log" &
trap 'kill %1; rm -rf "$work"' EXIT
for _ in $(seq 100); do
    port=$(sed -n 's/.*serving on port //p' "$work/registry.log")
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || fail "no registry: $(cat "$work/registry.log")"
registry=localhost:$port/us
cp -r "$folder" "$work/built"
# There is no public log here in which signatures are written down, nor an authority that knows this machine.
offline=(--key "$work/ours.key" --tlog-upload=false --use-signing-config=false)
COSIGN_PASSWORD='' hack/release/publish.sh "$work/built" "$registry" "${offline[@]}" > "$work/publish.log" 2>&1 ||
    fail "cannot publish: $(cat "$work/publish.log")"

# What is published names its own registry. Stamped for the one here, chart and install.yaml name an image that can be fetched, all of it.
REGISTRY=$registry hack/release/stamp.sh "$work/here" "$digest"
render "$work/here/tidegate" > "$work/here/rendered.yaml"
for installed in "$work/here/rendered.yaml" "$work/here/install.yaml"; do
    for image in $(images "$installed" | cut -d ' ' -f 2-); do
        crane validate --remote "$image" > "$work/fetch.log" 2>&1 || fail "cannot fetch $image: $(cat "$work/fetch.log")"
    done
done

# says <name of a block of the page> <folder> <key>: types it there.
says() {
    local commands settings
    commands=$(awk -v marker="<!-- run: $1 -->" '$0 == marker {ours = 1} ours && /^```/ {if (typed++) exit; next} typed' docs/verify.md)
    [ -n "$commands" ] || fail "docs/verify.md has no block $1"
    # The page sets these to the names of a published release.
    settings="who=(--key $work/$3.pub --insecure-ignore-tlog=true) registry=$registry version=$version"
    (cd "$2" && bash -euo pipefail -c "$settings"$'\n'"$commands") > "$work/said" 2>&1
}
passes() { says "$@" || fail "$1: $(cat "$work/said")"; }
# refused <reason> <block> <folder> <key>
refused() {
    ! says "${@:2}" || fail "$2 is not refused: $(cat "$work/said")"
    grep -qF "$1" "$work/said" || fail "$2 is refused for another reason than $1: $(cat "$work/said")"
}

passes "sums" "$work/built" ours
passes "image" "$work/built" ours
passes "contents" "$work/built" ours
payload=$(sed -n 's/.*"payload":"\([^"]*\)".*/\1/p' "$work/built/attestation.json" | base64 -d)
grep -q '"pkg:cargo/rustls@' <<< "$payload" || fail 'the attestation says something else'
passes "chart" "$work/built" ours
passes "install" "$work/built" ours
# What somebody else has signed.
refused 'invalid signature' "sums" "$work/built" strange
for block in "image" "contents" "chart"; do
    refused 'accepted signatures do not match threshold' "$block" "$work/built" strange
done
# A byte more in what is installed, then its sum in the list, so that they agree again.
for file in "tidegate-$version.tgz" install.yaml install-mutating.yaml; do
    rm -rf "$work/changed"
    cp -r "$work/built" "$work/changed"
    echo >> "$work/changed/$file"
    refused "$file: FAILED" "sums" "$work/changed" ours
    (cd "$work/changed" && sha256sum "$file" >> SHA256SUMS)
    refused 'invalid signature' "sums" "$work/changed" ours
done
# Another image under the same tag, and its digest in the file.
part=$(crane digest --platform "linux/${ARCHES%% *}" "$registry/tidegate:$version")
crane mutate --label changed=yes --tag "$registry/tidegate:$version" "$registry/tidegate@$part" > "$work/mutate.log" 2>&1 ||
    fail "cannot change the image: $(cat "$work/mutate.log")"
crane digest "$registry/tidegate:$version" > "$work/changed/image.digest"
! cmp -s "$folder/image.digest" "$work/changed/image.digest" || fail 'the image was not changed'
refused 'no signatures found' "image" "$work/changed" ours
refused 'no matching attestations' "contents" "$work/changed" ours
refused "tidegate@$digest" "install" "$work/changed" ours
echo "release: $version for $ARCHES: signed, verified, and refused where changed; image $(du -sh "$folder/image" | cut -f 1)"
