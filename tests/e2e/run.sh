#!/usr/bin/env bash
# make e2e: the demo as a user runs it, then every behaviour that needs a real node, on the same cluster.
#   KEEP=1   leaves the cluster running, for the next run
set -euo pipefail
cd "$(dirname "$0")/../.."
export STATE=$PWD/target/cluster
export KUBECONFIG=$STATE/admin.kubeconfig PATH=$PWD/target/cluster-bin:$PATH

# shellcheck source=tests/vpn/packages.sh
. tests/vpn/packages.sh
vpn_packages

down() { tests/cluster/down.sh; }
[ "${KEEP:-}" = 1 ] || trap down EXIT

mkdir -p target
examples/demo/demo.sh 2>&1 | tee target/demo.log
# It has shown what it should; the tests need its core.
kubectl -n team-a delete llmd assistant
# Kubernetes' garbage collector learns of new kinds some time after they are installed, and takes its time with what it met
# before: the tests of deletion begin once it has collected the demo's children.
kubectl -n team-a wait --for=delete --timeout=300s serviceaccount/assistant networkpolicy/assistant-fetch pvc/assistant-weights

export ALCAZAR_KUBECONFIG=$KUBECONFIG
# link_local runs the runtime in a network namespace, without the cluster; a test that needs the program is what builds it, with
# the features of all other tests.
cargo test --quiet --workspace --test process --no-run
cargo test --workspace --test e2e -- --test-threads=2 --skip enforcement "$@"
# Takes the firewall of all pods away, so nothing else may run.
cargo test --workspace --test e2e -- --test-threads=1 enforcement
