# The only list of commands. `make` or `make help` shows it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tidegate
TOOLS := $(CACHE)/tools/bin
CARGO_DENY_VERSION := 0.20.2
CARGO_MACHETE_VERSION := 0.9.2
K8S ?= 1.36.3
export TIDEGATE_K8S := $(K8S)

# The programs that the demo and the tests start; cargo only builds the root package's own for its tests.
PROGRAMS := --package tidegate --package tidegate-agent --bins

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "; print "Tidegate. Usage: make <command>\n"} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n  K8S=1.30.14    runs demo and test on the oldest supported Kubernetes (default $(K8S))\n  KEEP=1         keeps the demo up for trying things by hand\n'

.PHONY: demo
demo: controlplane ## Show the main job end to end on an embedded control plane
	@echo 'Building Tidegate ...' >&2
	@cargo build --locked --quiet $(PROGRAMS) --package tidegate-test-support --bin demo
	@exec target/debug/demo

.PHONY: test
test: controlplane ## All tests, on a real API server
	cargo build --locked $(PROGRAMS)
	cargo test --locked --workspace

.PHONY: test-monitoring
test-monitoring: controlplane prometheus ## Alerts by promtool, the dashboard by Prometheus and the real servers (PICTURES=1 draws docs/images)
	cargo build --locked $(PROGRAMS)
	cargo test --locked --package tidegate --test monitoring -- --include-ignored
	$(if $(PICTURES),TIDEGATE_WRITE_GOLDEN=1) cargo test --locked --package tidegate --test e2e dashboard -- --ignored --nocapture

.PHONY: mutants
mutants: controlplane ## Weaken the admission policies in every place; each must turn an adversary case red (3 minutes)
	cargo test --locked --package tidegate --test api weakened -- --ignored --nocapture

.PHONY: bench
bench: controlplane ## Measure what an item costs, beside Cedar, client-go and others; writes docs/benchmarks.md (SHORT=1: a look of some minutes, writes nothing)
	@echo 'Building the benchmarks ...' >&2
	@cargo build --locked --quiet --release --manifest-path hack/bench/Cargo.toml --target-dir target/bench
	@cargo build --locked --quiet --release --package tidegate --bins --target-dir target/bench
	@cd hack/bench/informer && go build -trimpath -o ../../../target/bench/release/informer .
	@target/bench/release/bench $(if $(SHORT),--short,--write docs/benchmarks.md)
	@exec target/bench/release/bench-cluster $(if $(SHORT),--requests 100 --rounds 1,--write docs/benchmarks.md)

.PHONY: lint
lint: tools ## Formatting, clippy, docs, generated files, breaking changes of the API, arrows between modules, licences and bans
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items
	hack/generated.sh
	hack/crd-compat.sh
	hack/arrows.sh
	$(TOOLS)/cargo-deny --log-level error --locked check licenses bans sources
	$(TOOLS)/cargo-machete

.PHONY: generate
generate: ## Write the generated files (CRDs, docs/reference.md, docs/metrics.md, the dashboard, Argo CD's health scripts) anew
	cargo run --locked --quiet --bin crdgen -- write crds docs/reference.md
	cargo run --locked --quiet --bin monitoring -- metrics docs/metrics.md
	cargo run --locked --quiet --bin monitoring -- dashboard hack/monitoring/dashboard.yaml charts/tidegate/files/dashboard.json
	cd hack/gitops && go run -mod=readonly . generate ../../config/argocd

.PHONY: golden
golden: controlplane ## Write the golden files, the fixtures for GitOps tools and what docs show anew, after a wanted change of what they hold
	TIDEGATE_WRITE_GOLDEN=1 cargo test --locked --package tidegate-core golden
	TIDEGATE_WRITE_GOLDEN=1 cargo test --locked --package tidegate --test api every_attempt
	cargo build --locked $(PROGRAMS)
	TIDEGATE_WRITE_GOLDEN=1 cargo test --locked --package tidegate --test e2e gitops::scenes
	TIDEGATE_WRITE_GOLDEN=1 cargo test --locked --package tidegate --test docs

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: controlplane
controlplane: ## Build kube-apiserver, kube-controller-manager, kubectl and etcd into the cache (once, about 6 minutes)
	@hack/controlplane/build.sh > /dev/null

.PHONY: prometheus
prometheus: ## Build promtool and prometheus into the cache (once, about 5 minutes)
	@hack/prometheus/build.sh > /dev/null

.PHONY: tools
tools: $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION) $(TOOLS)/cargo-machete-$(CARGO_MACHETE_VERSION) ## Install the lint tools into the cache (once)

$(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION):
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --no-default-features --root $(CACHE)/tools
	@touch $@

$(TOOLS)/cargo-machete-$(CARGO_MACHETE_VERSION):
	cargo install cargo-machete --version $(CARGO_MACHETE_VERSION) --locked --root $(CACHE)/tools
	@touch $@
