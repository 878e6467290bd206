# Places, names, addresses and ports that the other files share. What may be set from outside has a default here.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$HERE/../.." && pwd)
BIN=$ROOT/target/cluster-bin          # programs and images, kept by cluster-down
STATE=${STATE:-target/cluster}        # everything one cluster writes; gone after cluster-down
NODE=${NODE:-1}                       # 0: control plane only, for tests that need no pod
PORT=${PORT:-6443}                    # of the API server; etcd takes the two above it
case $STATE in /*) ;; *) STATE=$ROOT/$STATE ;; esac
case $NODE in 0 | 1) ;; *) echo "NODE is '$NODE': expected 0 or 1" >&2; exit 2 ;; esac
case $PORT in *[!0-9]* | '') echo "PORT is '$PORT': expected a number" >&2; exit 2 ;; esac

NODE_NAME=node1
BRIDGE=kbr0
NODE_IP=10.88.0.1                     # the bridge's own address: the cluster does not depend on the machine's network
POD_CIDR=10.88.0.0/24
SERVICE_CIDR=10.96.0.0/16
SERVICE_IP=10.96.0.1
DNS_IP=10.96.0.10
CGROUP=alcazar-rig                    # all pods live below this cgroup, so that none can be missed when they are killed
CNI_NETWORK=alcazar-rig
CHAIN=ALCAZAR-RIG                     # own iptables chains

CERTS=$STATE/certs
LOGS=$STATE/logs
CONTAINERD_SOCKET=$STATE/containerd/containerd.sock
export KUBECONFIG=$STATE/admin.kubeconfig
export KUBECACHEDIR=$STATE/cache      # kubectl's, which else lies in the home directory
export LC_ALL=C                       # a decimal point is a point

# Lists the processes of this cluster in the order in which they start.
processes() {
  echo etcd kube-apiserver kube-controller-manager kube-scheduler
  [ "$NODE" = 0 ] || echo containerd kubelet kube-proxy local-path
  [ "$NODE" = 0 ] || [ -e "$STATE/policy-off" ] || echo policy
}

fail() {
  echo "cluster: $*" >&2
  exit 1
}

# step TITLE WHY FUNCTION: says what is done and why, does it, and says how long it took.
step() {
  local begin=$EPOCHREALTIME
  printf '%-22s %s ... ' "$1" "$2"
  "$3"
  awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s\n", b - a }'
}
