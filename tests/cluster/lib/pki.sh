# The cluster's own certificate authorities, one certificate for each identity, and the kubeconfig files.
# shellcheck shell=bash

make_certificates() {
  mkdir -p "$CERTS"
  chmod 700 "$CERTS"
  authority ca kubernetes-ca
  authority etcd-ca etcd-ca # only the API server may talk to etcd: not everybody with a certificate of the cluster
  [ -s "$CERTS/sa.key" ] || openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$CERTS/sa.key" 2>/dev/null ||
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$CERTS/sa.key" 2>/dev/null
  [ -s "$CERTS/sa.pub" ] || openssl pkey -in "$CERTS/sa.key" -pubout -out "$CERTS/sa.pub"

  certificate etcd-ca etcd-server /CN=etcd serverAuth,clientAuth IP:127.0.0.1,DNS:localhost
  certificate etcd-ca etcd-client /CN=kube-apiserver clientAuth
  certificate ca apiserver /CN=kube-apiserver serverAuth \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$SERVICE_IP,IP:$NODE_IP"
  certificate ca apiserver-kubelet-client /CN=kube-apiserver-kubelet-client clientAuth
  certificate ca kubelet-server "/CN=$NODE_NAME" serverAuth "DNS:$NODE_NAME,IP:$NODE_IP"

  identity admin /O=system:masters/CN=kubernetes-admin
  identity kube-controller-manager /CN=system:kube-controller-manager
  identity kube-scheduler /CN=system:kube-scheduler
  identity kubelet "/O=system:nodes/CN=system:node:$NODE_NAME"
  identity kube-proxy /CN=system:kube-proxy
  identity local-path /CN=alcazar-rig:local-path
  identity policy /CN=alcazar-rig:policy
}

# usable NAME: whether there is such a certificate and it holds for another day.
usable() {
  [ -s "$CERTS/$1.key" ] && openssl x509 -in "$CERTS/$1.crt" -noout -checkend 86400 >/dev/null 2>&1
}

authority() {
  usable "$1" && return
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$2" \
    -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature -keyout "$CERTS/$1.key" -out "$CERTS/$1.crt" 2>/dev/null
}

# certificate AUTHORITY NAME SUBJECT USAGE [ALTERNATIVE_NAMES]
certificate() {
  usable "$2" && return
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" -keyout "$CERTS/$2.key" 2>/dev/null |
    openssl x509 -req -CA "$CERTS/$1.crt" -CAkey "$CERTS/$1.key" -set_serial "0x$(openssl rand -hex 16)" -days 365 -out "$CERTS/$2.crt" \
      -extfile <(printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\n' "$4"
        [ -z "${5:-}" ] || printf 'subjectAltName=%s\n' "$5") 2>/dev/null
}

# identity NAME SUBJECT: a client certificate, and the kubeconfig file that uses it.
identity() {
  certificate ca "$1" "$2" clientAuth
  local file=$STATE/$1.kubeconfig
  [ "$file" -nt "$CERTS/$1.crt" ] && grep -q ":$PORT\"" "$file" && return
  (
    umask 077
    cat >"$file" <<Y
apiVersion: v1
kind: Config
current-context: $1@alcazar-rig
contexts: [{name: $1@alcazar-rig, context: {cluster: alcazar-rig, user: $1}}]
clusters:
- name: alcazar-rig
  cluster: {server: "https://127.0.0.1:$PORT", certificate-authority-data: $(base64 -w0 "$CERTS/ca.crt")}
users:
- name: $1
  user: {client-certificate-data: $(base64 -w0 "$CERTS/$1.crt"), client-key-data: $(base64 -w0 "$CERTS/$1.key")}
Y
  )
}
