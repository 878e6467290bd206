# Alcazar: what a person or CI runs. `make help` lists it.
# Everything built lands below target/; `make clean` forgets all of it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# 1: a node that runs pods; 0: only the API server, for the fast tests.
NODE ?= 1
STATE ?= target/cluster
BIN := $(CURDIR)/target/cluster-bin

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' Makefile

demo: ## a cluster, the operator, a model, an answer (CLUSTER=current: on the cluster of KUBECONFIG)
	@examples/demo/demo.sh

# In the order of what fails soonest; the node comes last, since images are built for it.
test: lint check-generated test-unit test-signing test-encryption test-model test-clients test-house test-vpn test-api test-supply e2e ## everything CI runs

lint: ## formatting, clippy, licences and origins of the crates, and what else can be judged without running
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	build/deny.sh licenses bans sources

advisories: ## holes that RustSec knows in what Cargo.lock names (fetches its database by git, so not part of test)
	build/deny.sh advisories

# Every cargo call names the whole workspace: another selection would mean other features, and a second build of all.
test-unit: ## tests of the crates, without cluster and network
	cargo test --workspace --lib --bins

test-house: cluster-bin ## house rules, the chart as helm renders it, transfer faults, the own tests of rig and bench
	cargo test --workspace --test tidy --test chart --test fetch
	tests/cluster/test.sh
	tests/bench/test.sh

test-vpn: ## the tunnel against wireguard-go in network namespaces, and with WireGuard's timers on a clock of the tests (root)
	@# Its feature stops boringtun's clock, so it is built apart from everything else.
	cargo test --package alcazar-vpn --features virtual-clock --lib
	tests/vpn/run.sh

test-signing: ## model signatures both ways with the PyPI tool model-signing (installs it once)
	tests/signing/run.sh

test-encryption: ## encrypted weights both ways with age, the tool whose format they have (installs it once)
	tests/encryption/run.sh

test-model: ## the real SmolLM2 against llama.cpp's answers, MiniLM against sentence-transformers' (fetches both once)
	ALCAZAR_SMOLLM2=$$(tests/reference/model.sh) ALCAZAR_MINILM=$$(tests/reference/minilm.sh) \
	  cargo test --workspace --test smollm2 --test forced --test minilm

test-clients: ## the official and the common client libraries against the runtime with the real SmolLM2 (installs them once)
	@# The life of the program is tested on the way: its test is what builds it, with the features of all other tests.
	cargo test --workspace --test process --test privacy --test panics
	tests/clients/run.sh

test-api: cluster-bin ## tests on a real API server, without a node
	tests/api/run.sh

e2e: cluster-bin images ## tests on a real node: the images, the chart, the demo, every row of the bad-input table
	tests/e2e/run.sh

cluster-bin: ## builds the embedded Kubernetes and its tools into target/cluster-bin
	tests/cluster/build.sh

cluster-up: ## starts the embedded Kubernetes (NODE=0: the API server only)
	NODE=$(NODE) STATE=$(STATE) tests/cluster/up.sh

cluster-down: ## stops it and leaves nothing behind
	STATE=$(STATE) tests/cluster/down.sh

images: ## OCI archives target/images/{operator,gateway,runtime}.tar from the Dockerfile
	build/images.sh

test-supply: images ## bills of materials by their schema, and the list of crates that the program in each image carries
	tests/supply/run.sh

test-sign: images cluster-bin ## signing and verifying images and chart with cosign, against a registry (root; builds cosign once, minutes)
	tests/supply/sign.sh

sign: images cluster-bin ## signs images and chart with COSIGN_KEY; with REGISTRY pushes them there and signs them there
	build/sign.sh $(REGISTRY)

verify: ## verifies them with COSIGN_PUB: the files of target/release, or what lies in REGISTRY
	build/verify.sh $(REGISTRY)

sbom: ## a CycloneDX bill of materials of each program: target/sbom
	python3 build/sbom.py

generate: ## CRD YAML, the chart's copy of it, the reference pages
	build/generate.sh --write

check-generated: ## fails when something generated is not what the code says
	build/generate.sh --check

bench-operator: cluster-bin ## what the control plane costs: target/bench/operator.json
	tests/cluster/bench.sh

bench: ## the runtime beside llama.cpp and others on the same cores: target/bench/summary.json (ONLY=prefill,decode ROUNDS=5 QUICK=1)
	tests/bench/run.sh

clean: cluster-down ## stops the cluster and removes target/
	rm -rf target

.PHONY: help demo test lint advisories test-unit test-signing test-encryption test-house test-vpn test-model test-clients test-api test-supply test-sign e2e cluster-bin cluster-up cluster-down images sign verify sbom generate check-generated bench bench-operator clean
