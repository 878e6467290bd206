#!/usr/bin/env bash
# make demo: a cluster, the operator, a model, an answer.
#   CLUSTER=current   uses the cluster of KUBECONFIG (its nodes must be able to pull IMAGE_REGISTRY/{operator,gateway,runtime})
#                     and fetches the model from the hub; otherwise the embedded Kubernetes and a mirror inside it.
#   QUESTION="..."    what to ask.
set -euo pipefail
cd "$(dirname "$0")/../.."
BIN=$PWD/target/cluster-bin
QUESTION=${QUESTION:-"What is the capital of France? Answer in one sentence."}
NS=team-a NAME=assistant
started=$SECONDS

say()  { printf '\n\033[1m== %s\033[0m  (%d s)\n' "$*" $((SECONDS - started)); }
need() { command -v "$1" >/dev/null || { echo "make demo needs $1: $2" >&2; exit 1; }; }

cluster_current() {
  : "${IMAGE_REGISTRY:?CLUSTER=current needs IMAGE_REGISTRY, where its nodes find the images: make images, push target/images/*.tar there}"
  need kubectl "the client of your cluster"; need helm "https://helm.sh"
  kubectl get --raw /readyz >/dev/null || { echo "the cluster of KUBECONFIG does not answer" >&2; exit 1; }
  SETTINGS=(--set "image.registry=$IMAGE_REGISTRY")
}

cluster_embedded() {
  need cargo "https://rustup.rs (builds the operator and the runtime)"
  need go "https://go.dev/dl (builds Kubernetes from its own modules)"
  [ "$(id -u)" = 0 ] || { echo "the embedded cluster runs containers: run make demo as root, or CLUSTER=current on a cluster of yours" >&2; exit 1; }
  say "Kubernetes: etcd, API server, kubelet, containerd (the first build takes some minutes)"
  tests/cluster/up.sh
  export KUBECONFIG=$PWD/target/cluster/admin.kubeconfig PATH=$BIN:$PATH
  say "Images: operator, gateway and runtime from the Dockerfile (the first build takes some minutes)"
  build/images.sh
  say "A mirror of the model hub inside the cluster, as a site without internet has it"
  tests/cluster/hub/image.sh target/images/hub.tar
  tests/cluster/import-image.sh target/images/{operator,gateway,runtime,hub}.tar
  kubectl apply -f tests/cluster/hub/hub.yaml
  kubectl -n hub rollout status deployment/hub --timeout=120s
  # The tag stays the same when the program changes; the annotation lets a running operator be replaced then.
  local program; program=$(sha256sum < target/images/operator.tar)
  SETTINGS=(-f examples/demo/values.yaml --set-string "podAnnotations.operator-image=${program:0:16}")
}

show_progress() {
  local last='' now ready='{.status.conditions[?(@.type=="Ready")].'
  for _ in $(seq 1000); do
    now=$(kubectl -n "$NS" get llmd "$NAME" -o jsonpath="${ready}status} ${ready}reason}: ${ready}message}" 2>/dev/null || true)
    [ "$now" = "$last" ] || printf '  %3d s  %s\n' $((SECONDS - started)) "${now#* }"
    last=$now
    case $now in "True "*) return 0 ;; esac
    sleep 0.2
  done
  echo "not ready after 5 minutes; what the cluster says:" >&2
  kubectl -n "$NS" describe llmd,llmm >&2
  return 1
}

# The text in a stream of server-sent chunks, as it comes.
deltas() {
  local text
  sed -un 's/^data: .*"delta":{[^}]*"content":"\(\([^"\\]\|\\.\)*\)".*/\1/p' | while IFS= read -r text; do
    text=${text//\\\"/\"}
    printf '%b' "$text"
  done
  echo
}

ask() {
  local body ca=target/demo-ca.crt stream=target/demo-answer.txt
  body=$(printf '{"model":"%s","stream":true,"temperature":0,"max_tokens":64,"messages":[{"role":"user","content":"%s"}]}' "$NAME" "$QUESTION")
  kubectl -n alcazar-system get configmap alcazar-ca -o jsonpath='{.data.ca\.crt}' > "$ca"
  if [ "${CLUSTER:-}" = current ]; then
    kubectl -n "$NS" port-forward "service/$NAME" 18443:443 >/dev/null &
    local forward=$!
    for _ in $(seq 50); do (: > /dev/tcp/127.0.0.1/18443) 2>/dev/null && break; sleep 0.1; done
    curl -sN --cacert "$ca" --resolve "$NAME.$NS.svc:18443:127.0.0.1" "https://$NAME.$NS.svc:18443/v1/chat/completions" \
      -H 'content-type: application/json' -d "$body" | tee "$stream" | deltas
    kill "$forward"
  else
    kubectl -n "$NS" create configmap alcazar-ca --from-file=ca.crt="$ca" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
    kubectl -n "$NS" delete pod ask --ignore-not-found --wait >/dev/null
    BODY=$body envsubst_body < examples/demo/ask.yaml | kubectl apply -f - >/dev/null
    wait_started ask
    kubectl -n "$NS" logs -f ask | tee "$stream" | deltas
  fi
  grep -q '^data: \[DONE\]' "$stream" || { echo "the answer did not end as it should; what came instead:" >&2; cat "$stream" >&2; return 1; }
}

# A container's log can be read once it has started, even if it has ended since.
wait_started() {
  for _ in $(seq 150); do
    case $(kubectl -n "$NS" get pod "$1" -o jsonpath='{.status.phase}') in Running|Succeeded|Failed) return 0 ;; esac
    sleep 0.2
  done
  kubectl -n "$NS" describe pod "$1" >&2
  return 1
}

# Puts the JSON body into the manifest as one YAML single-quoted string.
envsubst_body() { local quoted=${BODY//\'/\'\'}; sed "s|@BODY@|$(printf '%s' "$quoted" | sed 's/[&|\\]/\\&/g')|"; }

mkdir -p target
if [ "${CLUSTER:-}" = current ]; then cluster_current; else cluster_embedded; fi

say "The operator, by its chart"
helm upgrade --install alcazar charts/alcazar --namespace alcazar-system --create-namespace --wait --timeout 2m "${SETTINGS[@]}"

say "kubectl apply -f examples/assistant.yaml"
kubectl apply -f examples/assistant.yaml
show_progress

say "The question: $QUESTION"
ask

say "What the cluster says of it"
kubectl -n "$NS" get llmd,llmm
kubectl -n "$NS" get llmd "$NAME" -o jsonpath='{range .status.conditions[*]}{.type}{"\t"}{.status}{"\t"}{.reason}{"\t"}{.message}{"\n"}{end}' | column -t -s $'\t'
cat <<TXT

To go on:
  export KUBECONFIG=${KUBECONFIG:-~/.kube/config} PATH=$BIN:\$PATH
  kubectl -n $NS get llmd -w
  kubectl -n $NS describe llmd $NAME
  QUESTION='Tell me a story.' make demo     (asks again)
  make cluster-down                          (stops the embedded cluster, leaves nothing behind)
TXT
