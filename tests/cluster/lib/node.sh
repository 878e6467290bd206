# The node: a bridge for the pods, containerd, kubelet and kube-proxy.
# shellcheck shell=bash

# Where the kernel shows cgroups: one place, or one for each controller with the old ones.
cgroup_roots() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup
  else
    awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/mounts
  fi
}

prepare_network() {
  [ -d /proc/sys/net/bridge ] || modprobe br_netfilter || fail "the kernel lacks br_netfilter: traffic between pods would pass Services and policies by"
  [ -d /sys/module/overlay ] || modprobe overlay 2>/dev/null || true
  # The second makes the kernel show bridged traffic, that is from pod to pod, to iptables and nftables.
  sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
  remember_rules
  make_bridge
  # Masquerading by one rule of ours, not by the CNI plugin's chain for each pod. Accepting is for hosts whose forward policy is to drop.
  chain nat POSTROUTING "-d $POD_CIDR -j RETURN" "-d 224.0.0.0/4 -j RETURN" "-s $POD_CIDR -j MASQUERADE"
  chain filter FORWARD "-i $BRIDGE -j ACCEPT" "-o $BRIDGE -j ACCEPT"
}

make_bridge() {
  if ip link show "$BRIDGE" >/dev/null 2>&1; then
    ip link show "$BRIDGE" | grep -qF "alias $STATE" || fail "the bridge $BRIDGE belongs to another cluster: $(ip link show "$BRIDGE" | awk '$1 == "alias" { print $2 }')"
  else
    ip link add "$BRIDGE" type bridge
    ip link set "$BRIDGE" alias "$STATE"
  fi
  # Policies are for IPv4, so pods must not reach each other by link-local IPv6 (the pods' side is set by the CNI plugin "tuning").
  [ ! -e "/proc/sys/net/ipv6/conf/$BRIDGE" ] || sysctl -qw "net.ipv6.conf.$BRIDGE.disable_ipv6=1"
  ip addr replace "$NODE_IP/${POD_CIDR#*/}" dev "$BRIDGE"
  ip link set "$BRIDGE" up
}

# chain TABLE FROM RULE...: a chain of ours with these rules, reached from a chain of the kernel.
chain() {
  local table=$1 from=$2 rule
  iptables -w -t "$table" -N "$CHAIN" 2>/dev/null || iptables -w -t "$table" -F "$CHAIN"
  # shellcheck disable=SC2086
  for rule in "${@:3}"; do iptables -w -t "$table" -A "$CHAIN" $rule; done
  iptables -w -t "$table" -C "$from" -j "$CHAIN" 2>/dev/null || iptables -w -t "$table" -A "$from" -j "$CHAIN"
}

start_containerd() {
  mkdir -p "$STATE/cni/net.d" "$STATE/containerd"
  cat >"$STATE/cni/net.d/10-rig.conflist" <<Y
{"cniVersion": "1.0.0", "name": "$CNI_NETWORK", "plugins": [
  {"type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$STATE/cni/addresses", "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "tuning", "sysctl": {"net.ipv6.conf.eth0.disable_ipv6": "1"}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
Y
  local no_oom=false
  # Without CAP_SYS_RESOURCE (bit 24) no process may lower its oom score, and runc would fail with "can't get final child's PID from pipe".
  (((0x$(awk '/^CapEff/ { print $2 }' /proc/self/status) >> 24) & 1)) || no_oom=true
  cat >"$STATE/containerd/config.toml" <<Y
version = 2
root = "$STATE/containerd/root"
state = "$STATE/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "$CONTAINERD_SOCKET"
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/alcazar-test/pause:1"
  restrict_oom_score_adj = $no_oom
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$(cni_plugins)"
    conf_dir = "$STATE/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "$STATE/containerd/runc"
Y
  start containerd "$(command -v containerd)" --config "$STATE/containerd/config.toml"
  await containerd 60 "containerd does not answer" ctr -a "$CONTAINERD_SOCKET" version
  import_images "$BIN"/images/{pause,coredns,probe}.tar
}

# import_images FILE...: puts image archives where the kubelet finds them; a file that has not changed is left out.
import_images() {
  local file identity
  for file in "$@"; do
    identity=$(stat -c '%n %s %.9Y' "$(realpath "$file")")
    ! grep -qsxF "$identity" "$STATE/images-imported" || continue
    ctr -a "$CONTAINERD_SOCKET" -n k8s.io images import "$file" >/dev/null || fail "containerd refused the image archive $file"
    echo "$identity" >>"$STATE/images-imported"
  done
}

make_cgroups() {
  local dir controller controllers
  for dir in $(cgroup_roots); do
    # The new cgroups give a child only the controllers that its parent passes on; the kubelet refuses a cgroup without them.
    read -ra controllers 2>/dev/null <"$dir/cgroup.controllers" || controllers=()
    for controller in "${controllers[@]}"; do
      echo "+$controller" 2>/dev/null >"$dir/cgroup.subtree_control" || true
    done
    mkdir -p "$dir/$CGROUP"
  done
}

start_node() {
  write_kubelet_config
  make_cgroups
  start kubelet "$BIN/kubelet" --config "$STATE/kubelet.yaml" --kubeconfig "$STATE/kubelet.kubeconfig" --hostname-override "$NODE_NAME" \
    --node-ip "$NODE_IP" --root-dir "$STATE/kubelet" --cert-dir "$STATE/kubelet/pki"

  cat >"$STATE/kube-proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: $STATE/kube-proxy.kubeconfig}
clusterCIDR: $POD_CIDR
hostnameOverride: $NODE_NAME
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s} # the machine's own limits stay as they are
Y
  start kube-proxy "$BIN/kube-proxy" --config "$STATE/kube-proxy.yaml"
}

# failCgroupV1 is for machines with the old cgroups only; disk pressure of a developer's machine must not evict test pods.
write_kubelet_config() {
  local resolv=/etc/resolv.conf
  [ ! -s /run/systemd/resolve/resolv.conf ] || resolv=/run/systemd/resolve/resolv.conf # the other one names 127.0.0.53, which no pod can reach
  cat >"$STATE/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $CERTS/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $CERTS/kubelet-server.crt
tlsPrivateKeyFile: $CERTS/kubelet-server.key
containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failCgroupV1: false
clusterDomain: cluster.local
clusterDNS: [$DNS_IP]
resolvConf: $resolv
podLogsDir: $LOGS/pods
volumePluginDir: $STATE/kubelet/volume-plugins
failSwapOn: false
evictionHard: {}
imageGCHighThresholdPercent: 100
maxPods: 200
Y
}
