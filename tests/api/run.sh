#!/usr/bin/env bash
# make test-api: a real API server without a node, our kinds in it, the operator as a process for each test.
#   KEEP=1   leaves the API server running, for the next run
set -euo pipefail
cd "$(dirname "$0")/../.."
export STATE=$PWD/target/api PORT=${PORT:-7443} NODE=0
BIN=$PWD/target/cluster-bin

rm -rf target/test-operators # settings and logs of the last run
[ "${KEEP:-}" = 1 ] || trap 'tests/cluster/down.sh' EXIT
tests/cluster/up.sh
"$BIN/kubectl" --kubeconfig "$STATE/admin.kubeconfig" apply --server-side -f crds/yaml >/dev/null
"$BIN/kubectl" --kubeconfig "$STATE/admin.kubeconfig" wait --for=condition=Established --timeout=30s -f crds/yaml >/dev/null
# As clusters have one; nothing provisions here, and claims wait for a pod on a node.
"$BIN/kubectl" --kubeconfig "$STATE/admin.kubeconfig" apply -f - >/dev/null <<'YAML'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: unprovisioned, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
YAML
cargo build --quiet --workspace --bin alcazar-operator --bin alcazar-gateway --bin alcazar
export ALCAZAR_KUBECONFIG=$STATE/admin.kubeconfig
cargo test --workspace --test api --test tenants -- --test-threads=6 --skip cluster_wide "$@"
# One looks after every namespace, so nothing else may run.
cargo test --workspace --test tenants -- cluster_wide
