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

.PHONY: mutants
mutants: controlplane ## Weaken the admission policies in every place; each must turn an adversary case red (3 minutes)
	cargo test --locked --package tidegate --test api weakened -- --ignored --nocapture

.PHONY: bench
bench: ## Measure what an item costs, and the evaluator beside Cedar; writes docs/benchmarks.md (SHORT=1: a look of 2 minutes, writes nothing)
	@echo 'Building the benchmark ...' >&2
	@cargo build --quiet --release --manifest-path hack/bench/Cargo.toml --target-dir target/bench
	@exec target/bench/release/bench $(if $(SHORT),--short,--write docs/benchmarks.md)

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
generate: ## Write the generated files (CRDs, docs/reference.md, Argo CD's health scripts) anew
	cargo run --locked --quiet --bin crdgen -- write crds docs/reference.md
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

.PHONY: tools
tools: $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION) $(TOOLS)/cargo-machete-$(CARGO_MACHETE_VERSION) ## Install the lint tools into the cache (once)

$(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION):
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --no-default-features --root $(CACHE)/tools
	@touch $@

$(TOOLS)/cargo-machete-$(CARGO_MACHETE_VERSION):
	cargo install cargo-machete --version $(CARGO_MACHETE_VERSION) --locked --root $(CACHE)/tools
	@touch $@
