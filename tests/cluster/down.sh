#!/bin/bash
# Takes a cluster down and leaves nothing of it behind: processes, containers, mounts, network, cgroups, files. `make cluster-down` calls it.
# Setting by environment: STATE (default target/cluster). The built programs in target/cluster-bin stay.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
for part in settings process rules node; do
  # shellcheck source=/dev/null
  . "$HERE/lib/$part.sh"
done

# A pod's processes are all below our own cgroup, and nothing else is: even a container that lost its runtime is found.
kill_pods() {
  local tries pids
  for ((tries = 0; tries < 50; tries++)); do
    pids=$(for dir in $(cgroup_roots); do find "$dir/$CGROUP" -name cgroup.procs -exec cat {} + 2>/dev/null; done | sort -u)
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086
    kill -9 $pids 2>/dev/null || true
    sleep 0.1
  done
  fail "these processes of pods could not be killed:" "$pids"
}

# The shims outlive containerd on purpose; ours are those whose arguments name our socket.
kill_shims() {
  local proc
  for proc in /proc/[0-9]*; do
    case $(readlink "$proc/exe" 2>/dev/null) in */containerd-shim-runc-v2*) ;; *) continue ;; esac
    ! tr '\0' ' ' <"$proc/cmdline" 2>/dev/null | grep -qF " $CONTAINERD_SOCKET " || kill -9 "${proc#/proc/}" 2>/dev/null || true
  done
  # Killed, they leave their sockets, which lie outside the state directory; each bundle says where, without a line end.
  local address
  for address in "$STATE"/containerd/state/io.containerd.runtime.v2.task/*/*/address; do
    [ ! -f "$address" ] || rm -f "$(sed 's#^unix://##' "$address")"
  done
}

unmount_all() {
  local _
  for _ in 1 2 3; do # mounts may lie on one another
    awk -v state="$STATE/" 'index($5, state) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r -n1 umount -l 2>/dev/null || true
  done
}

remove_links() {
  ! ip link show "$BRIDGE" 2>/dev/null | grep -qF "alias $STATE" || {
    ip -o link show master "$BRIDGE" | awk -F'[ :@]+' '{ print $2 }' | xargs -r -n1 ip link delete 2>/dev/null || true
    ip link delete "$BRIDGE"
  }
}

remove_cgroups() {
  local dir
  for dir in $(cgroup_roots); do
    [ ! -d "$dir/$CGROUP" ] || find "$dir/$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

# Places that containerd, CNI and the kubelet cannot be told to leave alone; what others have there stays.
remove_strays() {
  local result pod
  for result in "/var/lib/cni/results/$CNI_NETWORK"-*-eth0; do
    pod=${result#"/var/lib/cni/results/$CNI_NETWORK-"}
    rm -f "$result" "/var/lib/cni/results/cni-loopback-${pod%-eth0}-lo"
  done
  find /var/log/containers -type l -lname "$LOGS/*" -delete 2>/dev/null || true
  rm -f /var/lib/kubelet/device-plugins/kubelet.sock
  rmdir /var/lib/cni/results /var/lib/cni /var/log/containers /run/containerd/s /run/containerd \
    /var/lib/kubelet/device-plugins /var/lib/kubelet 2>/dev/null || true
}

stop_node() {
  local name
  for name in policy local-path kube-proxy kubelet; do stop "$name"; done
  kill_pods
  stop containerd
  kill_shims
  unmount_all
  remove_links
  forget_rules
  nft delete table inet alcazar-policy 2>/dev/null || true # a policy engine that was killed could not take its rules away
  remove_cgroups
  remove_strays
}

main() {
  [ -f "$STATE/settings" ] || { echo "There is no cluster in $STATE."; return; }
  eval "$(cat "$STATE/settings")"
  [ "$NODE" = 0 ] || stop_node
  local name
  for name in kube-scheduler kube-controller-manager kube-apiserver etcd; do stop "$name" 2; done
  rm -rf "$STATE"
  echo "The cluster in $STATE is gone."
}

mkdir -p "$(dirname "$STATE")"
exec 9>"$STATE.lock"
flock 9
main
rm -f "$STATE.lock"
