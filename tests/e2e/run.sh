#!/usr/bin/env bash
# make e2e: the demo as a user runs it, then every behaviour that needs a real node, on the same cluster.
#   KEEP=1   leaves the cluster running, for the next run
set -euo pipefail
cd "$(dirname "$0")/../.."
export STATE=$PWD/target/cluster
export KUBECONFIG=$STATE/admin.kubeconfig PATH=$PWD/target/cluster-bin:$PATH
TINY=$STATE/tiny

down() { tests/cluster/down.sh; }
[ "${KEEP:-}" = 1 ] || trap down EXIT

mkdir -p target
examples/demo/demo.sh 2>&1 | tee target/demo.log
# It has shown what it should; the tests need its core.
kubectl delete --wait -f examples/assistant.yaml

# A volume of 32 MiB for the test of a full one: local-path volumes do not enforce their size, a tmpfs does.
if ! mountpoint -q "$TINY"; then
  mkdir -p "$TINY"
  mount -t tmpfs -o size=32m,mode=0755 alcazar-tiny "$TINY"
fi
kubectl apply -f - >/dev/null <<YAML
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: tiny}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: tiny}
spec:
  capacity: {storage: 32Mi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: tiny
  local: {path: $TINY}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [linux]}]}]}}
YAML

export ALCAZAR_KUBECONFIG=$KUBECONFIG
cargo test --workspace --test e2e -- --test-threads=2 --skip enforcement "$@"
# Takes the firewall of all pods away, so nothing else may run.
cargo test --workspace --test e2e -- --test-threads=1 enforcement
