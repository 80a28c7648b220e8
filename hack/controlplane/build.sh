#!/bin/sh
# Builds the test control plane (kube-apiserver, kube-controller-manager, kubectl, etcd) from its Go modules into a cached
# folder, and prints that folder as the only line on stdout. Progress goes to stderr.
#   KUBEBUILDER_ASSETS  a folder that already has the four binaries: nothing is built, it is printed
#   TIDEGATE_K8S        the Kubernetes version: 1.36.3 (default) or 1.30.14, the oldest supported
# The cache lies outside the checkout, so that every clone shares it; a finished binary is never built again.
set -eu

binaries="kubectl etcd kube-controller-manager kube-apiserver"
here=$(cd "$(dirname "$0")" && pwd)
version=${TIDEGATE_K8S:-1.36.3}

say() { echo "controlplane: $*" >&2; }
fail() { say "$*"; exit 1; }

has_all() {
    for name in $binaries; do
        [ -x "$1/$name" ] || return 1
    done
}

case $version in
    1.36.3) module=$here ;;
    1.30.14) module=$here/1.30 ;;
    *) fail "TIDEGATE_K8S=$version is not known here; use 1.36.3 or 1.30.14" ;;
esac

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    if has_all "$KUBEBUILDER_ASSETS"; then
        echo "$KUBEBUILDER_ASSETS"
        exit 0
    fi
    say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS has not all of $binaries; using the cache instead"
fi

folder=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/controlplane/v$version
if has_all "$folder"; then
    echo "$folder"
    exit 0
fi
command -v go >/dev/null || fail "go is not installed; it is needed to build Kubernetes $version"
mkdir -p "$folder"

# One build at a time: a second run waits here and then finds everything built. Without flock a folder is the lock, whose
# owner is recorded, so that a lock left by a killed run is taken over.
if command -v flock >/dev/null; then
    exec 9>"$folder/.lock"
    flock -n 9 || { say "another build is running; waiting for it"; flock 9; }
else
    until mkdir "$folder/.lock.d" 2>/dev/null; do
        owner=$(cat "$folder/.lock.d/pid" 2>/dev/null || echo)
        if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
            rm -rf "$folder/.lock.d"
            continue
        fi
        say "another build is running (process ${owner:-unknown}); waiting for it"
        sleep 5
    done
    echo $$ >"$folder/.lock.d/pid"
    trap 'rm -rf "$folder/.lock.d"' EXIT
    trap 'exit 130' INT TERM
fi

package() {
    case $1 in
        etcd) echo go.etcd.io/etcd/server/v3 ;;
        *) echo "k8s.io/kubernetes/cmd/$1" ;;
    esac
}

major=${version%%.*}
rest=${version#*.}
stamp=k8s.io/component-base/version
# Without these `kubectl version` cannot compare client and server. The commit is unknown to a module build.
ldflags="-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=$major -X $stamp.gitMinor=${rest%%.*}"
ldflags="$ldflags -X $stamp.gitCommit=v$version -X $stamp.gitTreeState=archive"

began=$(date +%s)
say "building into $folder; once, about 6 minutes on two cores"
for name in $binaries; do
    [ -x "$folder/$name" ] && continue
    say "building $name for Kubernetes $version"
    start=$(date +%s)
    temporary=$folder/.$name.$$
    if ! (cd "$module" && CGO_ENABLED=0 GOFLAGS= \
        go build -mod=readonly -buildvcs=false -trimpath -ldflags "$ldflags" -o "$temporary" "$(package "$name")" >&2); then
        rm -f "$temporary"
        fail "$name did not build; see the output of go above"
    fi
    mv "$temporary" "$folder/$name"
    now=$(date +%s)
    say "$name is built, $((now - start)) s ($((now - began)) s in all)"
done
echo "$folder"
