#!/usr/bin/env bash
# make bench-operator: what the operator costs the control plane, into target/bench/operator.json.
#   FULL=1     the whole measurement: idle for 10 minutes at each size (default: 1 minute)
#   BENCH_ARGS more arguments for the program, for example "--large 0"
#   OPERATOR   the program to measure (default: that of the image, which is made first)
# All of it runs in a network and process namespace of its own: simulated pods have addresses of this machine there, nothing leaves it, and nothing is left behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
BIN=$PWD/target/cluster-bin
export STATE=$PWD/target/bench/cluster NODE=0

if [ "${1:-}" != inside ]; then
  if [ -z "${OPERATOR:-}" ]; then
    build/images.sh
    OPERATOR=$PWD/target/images-cache/target/$(rustc -vV | sed -n 's/^host: //p')/release/alcazar-operator
  fi
  export OPERATOR
  mkdir -p target/bench
  user=()
  [ "$(id -u)" = 0 ] || user=(--user --map-root-user)
  exec unshare "${user[@]}" --net --pid --mount-proc --fork --kill-child "$0" inside
fi

ip link set lo up
ip route add local 10.0.0.0/8 dev lo
tests/cluster/down.sh >/dev/null 2>&1 || true
rm -rf target/bench/work
trap 'cp "$STATE/audit.log" target/bench/work/ 2>/dev/null; tests/cluster/down.sh >/dev/null' EXIT
tests/cluster/up.sh
idle=1m
[ "${FULL:-}" != 1 ] || idle=10m
# shellcheck disable=SC2086
"$BIN/bench" --kubeconfig "$STATE/admin.kubeconfig" --state "$STATE" --operator "$OPERATOR" --idle "$idle" ${BENCH_ARGS:-}
