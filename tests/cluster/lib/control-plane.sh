# etcd, kube-apiserver, kube-controller-manager and kube-scheduler, with TLS everywhere and the authorizers and admission of production.
# shellcheck shell=bash

start_api_server() {
  local etcd=https://127.0.0.1:$((PORT + 1)) peer=https://127.0.0.1:$((PORT + 2))
  # Without fsync it is fast, and after a power cut lost: right for a test rig only.
  start etcd "$BIN/etcd" --name rig --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "$etcd" --advertise-client-urls "$etcd" --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "rig=$peer" \
    --cert-file "$CERTS/etcd-server.crt" --key-file "$CERTS/etcd-server.key" --trusted-ca-file "$CERTS/etcd-ca.crt" --client-cert-auth \
    --peer-cert-file "$CERTS/etcd-server.crt" --peer-key-file "$CERTS/etcd-server.key" --peer-trusted-ca-file "$CERTS/etcd-ca.crt" --peer-client-cert-auth

  printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n' >"$STATE/audit-policy.yaml"
  local bind=0.0.0.0 # pods reach it at the bridge's address
  [ "$NODE" = 1 ] || bind=127.0.0.1
  start kube-apiserver "$BIN/kube-apiserver" --bind-address "$bind" --secure-port "$PORT" --advertise-address "$NODE_IP" \
    --tls-cert-file "$CERTS/apiserver.crt" --tls-private-key-file "$CERTS/apiserver.key" --client-ca-file "$CERTS/ca.crt" \
    --etcd-servers "$etcd" --etcd-cafile "$CERTS/etcd-ca.crt" --etcd-certfile "$CERTS/etcd-client.crt" --etcd-keyfile "$CERTS/etcd-client.key" \
    --kubelet-certificate-authority "$CERTS/ca.crt" --kubelet-preferred-address-types InternalIP \
    --kubelet-client-certificate "$CERTS/apiserver-kubelet-client.crt" --kubelet-client-key "$CERTS/apiserver-kubelet-client.key" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$CERTS/sa.pub" --service-account-signing-key-file "$CERTS/sa.key" \
    --service-cluster-ip-range "$SERVICE_CIDR" --allow-privileged --profiling=false \
    --audit-policy-file "$STATE/audit-policy.yaml" --audit-log-path "$STATE/audit.log" --audit-log-maxsize 2000
}

start_controllers() {
  await kube-apiserver 120 "the API server is not ready" "$BIN/kubectl" get --raw /readyz
  # The raised rates are those of a large cluster: measurements are of the operator, not of the controllers around it.
  start kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig "$STATE/kube-controller-manager.kubeconfig" --secure-port 0 \
    --leader-elect=false --use-service-account-credentials --kube-api-qps 500 --kube-api-burst 1000 \
    --root-ca-file "$CERTS/ca.crt" --service-account-private-key-file "$CERTS/sa.key" \
    --cluster-signing-cert-file "$CERTS/ca.crt" --cluster-signing-key-file "$CERTS/ca.key"
  start kube-scheduler "$BIN/kube-scheduler" --kubeconfig "$STATE/kube-scheduler.kubeconfig" --secure-port 0 \
    --leader-elect=false --kube-api-qps 500 --kube-api-burst 1000
}
