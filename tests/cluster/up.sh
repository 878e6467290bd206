#!/bin/bash
# Brings a real Kubernetes cluster up on this machine, and installs and builds what it takes. `make cluster-up` calls it.
# Settings by environment: NODE=0|1 (default 1), STATE (default target/cluster), PORT (default 6443). Afterwards: KUBECONFIG=$STATE/admin.kubeconfig.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
for part in settings process packages build pki rules control-plane node addons; do
  # shellcheck source=/dev/null
  . "$HERE/lib/$part.sh"
done

is_up() {
  local name
  for name in $(processes); do
    alive "$name" || return 1
  done
  "$BIN/kubectl" get --raw /readyz >/dev/null 2>&1 || return 1
  [ "$NODE" = 0 ] || { node_is_ready && dns_is_ready; }
}

say_where() {
  echo "The cluster is up. To use it: export KUBECONFIG=$STATE/admin.kubeconfig PATH=$BIN:\$PATH"
}

main() {
  local settings="NODE=$NODE PORT=$PORT"
  [ "$(cat "$STATE/settings" 2>/dev/null || echo "$settings")" = "$settings" ] ||
    fail "$STATE is a cluster with $(cat "$STATE/settings"), not with $settings: take it down first"
  [ ${#STATE} -le 70 ] || fail "the path $STATE is too long for the sockets in it: set STATE to a shorter one"
  mkdir -p "$STATE/run" "$LOGS"
  echo "$settings" >"$STATE/settings"
  if [ "$(sources_digest)" = "$(cat "$BIN/.built" 2>/dev/null)" ] && is_up; then
    say_where
    return
  fi
  local begin=$SECONDS
  step "packages" "what is missing of containerd, runc, CNI plugins, iptables, nftables, openssl" install_packages
  step "programs" "Kubernetes, etcd, CoreDNS, helm and the rig from Go modules, minutes the first time" build_programs
  step "certificates" "an own CA and one identity for each component" make_certificates
  step "etcd, kube-apiserver" "TLS and client certificates, Node and RBAC authorizers, audit log" start_api_server
  if [ "$NODE" = 1 ]; then
    step "bridge" "$BRIDGE, IPv4 only; masquerading for pods" prepare_network
    step "containerd" "runs the containers; gets the images of the rig" start_containerd
  fi
  step "controllers" "kube-controller-manager and kube-scheduler, once the API server is ready" start_controllers
  [ "$NODE" = 0 ] || step "kubelet, kube-proxy" "one node; Services by iptables" start_node
  step "addons" "labels and roles of the system, DNS, storage, network policies" start_addons
  step "waiting" "until the cluster is ready for pods" wait_until_ready
  say_where
  echo "All of it took $((SECONDS - begin)) s."
}

mkdir -p "$(dirname "$STATE")"
exec 9>"$STATE.lock"
flock 9
main
