# The only list of commands. `make` or `make help` shows it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tidegate
TOOLS := $(CACHE)/tools/bin
CARGO_DENY_VERSION := 0.20.2
CARGO_MACHETE_VERSION := 0.9.2
CARGO_MUTANTS_VERSION := 27.1.0
ACTIONLINT_VERSION := 1.7.12
COSIGN_VERSION := 3.1.3
CRANE_VERSION := 0.22.1
HELM_VERSION := 3.22.0
KUBECONFORM_VERSION := 0.8.0
# For the definitions of monitors and rules.
PROMETHEUS_OPERATOR_VERSION := 0.85.0
INSTALLED := $(addprefix $(TOOLS)/,cargo-deny-$(CARGO_DENY_VERSION) cargo-machete-$(CARGO_MACHETE_VERSION) actionlint-$(ACTIONLINT_VERSION) \
	helm-$(HELM_VERSION) kubeconform-$(KUBECONFORM_VERSION) prometheus-operator-$(PROMETHEUS_OPERATOR_VERSION))
RELEASE_TOOLS := $(addprefix $(TOOLS)/,cosign-$(COSIGN_VERSION) crane-$(CRANE_VERSION) helm-$(HELM_VERSION))
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

.PHONY: test-chart
test-chart: tools controlplane ## The Helm chart: renders, values, schemas, installation, upgrade, what the docs say of it; on both ends of the supported range (4 minutes)
	cargo build --locked $(PROGRAMS)
	cargo test --locked --package tidegate --test chart -- --ignored
	cargo test --locked --package tidegate --test docs helm -- --ignored
	env -u KUBEBUILDER_ASSETS TIDEGATE_K8S=1.30.14 hack/controlplane/build.sh > /dev/null
	env -u KUBEBUILDER_ASSETS TIDEGATE_K8S=1.30.14 cargo test --locked --package tidegate --test chart server -- --ignored

# All faults at once: most of the time is waiting for what has to run out.
.PHONY: faults
faults: controlplane ## Kills, stops, lying networks, bad input, missing rights and a short soak, with a checker (docs/faults.md; SEED=n replays)
	cargo build --locked $(PROGRAMS)
	TIDEGATE_SOAK_SEED=$(SEED) cargo test --locked --package tidegate --test faults -- --nocapture --test-threads=10

.PHONY: soak
soak: controlplane ## Random faults for SECONDS (default 600) from SEED (default: printed)
	cargo build --locked $(PROGRAMS)
	TIDEGATE_SOAK_SECONDS=$(or $(SECONDS),600) TIDEGATE_SOAK_SEED=$(SEED) cargo test --locked --package tidegate --test faults -- --nocapture random_faults

.PHONY: image
image: ## Build the image as an OCI layout in target/image/layout and check it, without a container engine (ARCHES="amd64 arm64", PROFILE=dev)
	hack/image/build.sh target/image/layout
	hack/image/check.sh target/image/layout

.PHONY: image-docker
image-docker: ## Build the image of the Dockerfile with Docker, and try it (the settings of image)
	hack/image/docker.sh

.PHONY: image-twice
image-twice: ## Build the image twice, in two folders, and compare the bytes (twice as long; the settings of image)
	hack/image/twice.sh target/image/layout

.PHONY: release
release: $(TOOLS)/helm-$(HELM_VERSION) ## Build all that a release consists of, unsigned, in target/release-files (the settings of image; REGISTRY=ghcr.io/owner, SOURCE=https://github.com/owner/tidegate)
	PATH="$(TOOLS):$$PATH" hack/release/build.sh target/release-files

.PHONY: release-check
release-check: release release-tools ## Check it; sign it with a throw-away key, push it to a registry on this machine, verify as docs/verify.md says
	PATH="$(TOOLS):$$PATH" hack/release/check.sh target/release-files

.PHONY: mutants
mutants: mutants-core controlplane ## Weaken admission policies and core in every place; each must turn a test red (40 minutes; the policies alone 3)
	cargo test --locked --package tidegate --test api weakened -- --ignored --nocapture

.PHONY: mutants-core
mutants-core: $(TOOLS)/cargo-mutants-$(CARGO_MUTANTS_VERSION) ## Only approval.rs and lifecycle.rs, with cargo-mutants (35 minutes)
	PATH="$(TOOLS):$$PATH" hack/mutants/core.sh

.PHONY: bench
bench: ## Measure what an item costs, and the evaluator beside Cedar; writes docs/benchmarks.md (SHORT=1: a look of 2 minutes, writes nothing)
	@echo 'Building the benchmark ...' >&2
	@cargo build --locked --quiet --release --manifest-path hack/bench/Cargo.toml --target-dir target/bench --bin bench
	@exec target/bench/release/bench $(if $(SHORT),--short,--write docs/benchmarks.md)

# Its section of the page; SHORT=1 writes nothing.
.PHONY: bench-cluster
bench-cluster: controlplane ## The controller on an API server, beside a bare client, the TTL controller and client-go; writes its part of docs/benchmarks.md (50 minutes; FROM_ENDS=1: all but the approvals, whose figures stay; SHORT=1: 100 requests, 10 minutes, writes nothing; ONLY=approvals, memory or crowd: a look at that, writes nothing)
	@echo 'Building the benchmark ...' >&2
	@cargo build --locked --quiet --release --manifest-path hack/bench/Cargo.toml --target-dir target/bench --bin bench-cluster
	@cargo build --locked --quiet --release --package tidegate --bin controller --target-dir target/bench
	@cd hack/bench/informer && go build -trimpath -o ../../../target/bench/release/informer .
	@exec target/bench/release/bench-cluster $(if $(SHORT),--requests 100 --rounds 1) $(if $(SHORT)$(ONLY),,--write docs/benchmarks.md) $(if $(ONLY),--only $(ONLY)) $(if $(FROM_ENDS),--from-ends)

.PHONY: lint
lint: tools controlplane ## Formatting, clippy, docs, generated files, breaking changes of the API, arrows between modules, licences and bans, workflows
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items
	hack/generated.sh
	hack/crd-compat.sh
	hack/arrows.sh
	$(TOOLS)/cargo-deny --log-level error --locked check licenses bans sources
	$(TOOLS)/cargo-machete
	$(TOOLS)/actionlint
	hack/release/version.sh > /dev/null

.PHONY: advisories
advisories: $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION) ## Known holes, and crates that nobody looks after or that were withdrawn, in what is linked; asks the RustSec database and the registry
	@$(TOOLS)/cargo-deny --locked fetch db index || { echo 'advisories: what is known could not be fetched, as said above; nothing was checked' >&2; exit 1; }
	$(TOOLS)/cargo-deny --locked check advisories

.PHONY: generate
generate: tools controlplane ## Write the generated files anew: CRDs, reference and metrics pages, the dashboard, config/ and install.yaml, health scripts, the chart's README
	hack/generate.sh .

.PHONY: golden
golden: tools controlplane ## Write the golden files, the fixtures for GitOps tools and what docs show anew, after a wanted change of what they hold
	TIDEGATE_WRITE_GOLDEN=1 cargo test --locked --package tidegate-core golden
	TIDEGATE_WRITE_GOLDEN=1 cargo test --locked --package tidegate --test api every_attempt
	TIDEGATE_WRITE_GOLDEN=1 cargo test --locked --package tidegate --test chart written_down -- --ignored
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
tools: $(INSTALLED) ## Install the tools of lint, generate and test-chart into the cache (once)

.PHONY: release-tools
release-tools: $(RELEASE_TOOLS) ## Install the tools of release-check into the cache (once, about 10 minutes)

$(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION):
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --no-default-features --root $(CACHE)/tools
	@touch $@

$(TOOLS)/cargo-machete-$(CARGO_MACHETE_VERSION):
	cargo install cargo-machete --version $(CARGO_MACHETE_VERSION) --locked --root $(CACHE)/tools
	@touch $@

$(TOOLS)/cargo-mutants-$(CARGO_MUTANTS_VERSION):
	cargo install cargo-mutants --version $(CARGO_MUTANTS_VERSION) --locked --root $(CACHE)/tools
	@touch $@

GO_INSTALL = GOBIN=$(TOOLS) GOFLAGS= CGO_ENABLED=0 go install -trimpath -ldflags '-s -w'

$(TOOLS)/actionlint-$(ACTIONLINT_VERSION):
	$(GO_INSTALL) github.com/rhysd/actionlint/cmd/actionlint@v$(ACTIONLINT_VERSION)
	@touch $@

$(TOOLS)/cosign-$(COSIGN_VERSION):
	$(GO_INSTALL) github.com/sigstore/cosign/v3/cmd/cosign@v$(COSIGN_VERSION)
	@touch $@

$(TOOLS)/crane-$(CRANE_VERSION):
	$(GO_INSTALL) github.com/google/go-containerregistry/cmd/crane@v$(CRANE_VERSION)
	@touch $@

$(TOOLS)/helm-$(HELM_VERSION):
	$(GO_INSTALL) helm.sh/helm/v3/cmd/helm@v$(HELM_VERSION)
	@touch $@

$(TOOLS)/kubeconform-$(KUBECONFORM_VERSION):
	$(GO_INSTALL) github.com/yannh/kubeconform/cmd/kubeconform@v$(KUBECONFORM_VERSION)
	@touch $@

# The definitions of PodMonitor, ServiceMonitor and PrometheusRule, as the operator's Go module has them.
$(TOOLS)/prometheus-operator-$(PROMETHEUS_OPERATOR_VERSION):
	@mkdir -p $(TOOLS)/../prometheus-operator
	GOFLAGS= go mod download -json github.com/prometheus-operator/prometheus-operator@v$(PROMETHEUS_OPERATOR_VERSION) | \
		sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p' | \
		{ read -r dir && install -m 644 "$$dir"/example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,servicemonitors,prometheusrules}.yaml \
			$(TOOLS)/../prometheus-operator/; }
	@touch $@
