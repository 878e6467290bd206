# What runs inside or beside a node: roles, CoreDNS, storage, network policies.
# shellcheck shell=bash disable=SC2119,SC2120

apply_addons() {
  local files=("$HERE/addons/rig.yaml") dns="forward . /etc/resolv.conf {
          max_concurrent 1000
        }"
  [ "$NODE" = 0 ] || files+=("$HERE/addons/coredns.yaml" "$HERE/addons/storage.yaml")
  # Without an upstream CoreDNS would not start; then every foreign name is answered with NXDOMAIN.
  grep -Eqs '^nameserver +[^ ]' /etc/resolv.conf || dns='template ANY ANY . {
          rcode NXDOMAIN
        }'
  cat "${files[@]}" | UPSTREAM=$dns DNS_IP=$DNS_IP awk '{
      gsub(/\$DNS_IP/, ENVIRON["DNS_IP"]); if ($1 == "$UPSTREAM") sub(/\$UPSTREAM/, ENVIRON["UPSTREAM"]); print
    }' | "$BIN/kubectl" apply --server-side --force-conflicts --field-manager alcazar-rig -f - >/dev/null
}

start_addons() {
  apply_addons
  [ "$NODE" = 1 ] || return 0
  start local-path "$BIN/local-path" --kubeconfig "$STATE/local-path.kubeconfig" --root "$STATE/volumes"
  start_policy
}

# The engine that makes NetworkPolicy real; policy.sh switches it off and on, and off stays off.
# start_policy [OPTION...] returns when the rules stand, which the engine tells by its file.
start_policy() {
  [ ! -e "$STATE/policy-off" ] || return 0
  alive policy || rm -f "$STATE/run/policy.ready"
  start policy "$BIN/policy" --kubeconfig "$STATE/policy.kubeconfig" --bridge "$BRIDGE" --pid-file "$STATE/run/policy.ready" "$@"
  await policy 60 "network policies are not enforced" test -e "$STATE/run/policy.ready"
}

wait_until_ready() {
  await kube-controller-manager 60 "pods cannot be created yet" "$BIN/kubectl" get serviceaccount default
  [ "$NODE" = 1 ] || return 0
  await kubelet 120 "the node does not get ready" node_is_ready
  await kubelet 120 "cluster DNS does not get ready" dns_is_ready
}

node_is_ready() {
  [ "$("$BIN/kubectl" get node "$NODE_NAME" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]
}

dns_is_ready() {
  [ "$("$BIN/kubectl" -n kube-system get deployment coredns -o 'jsonpath={.status.readyReplicas}')" = 1 ]
}
