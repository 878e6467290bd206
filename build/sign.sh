#!/usr/bin/env bash
# Signs the image archives and the packaged chart with a key of yours; with a registry also pushes them and signs what lies
# there, each by its digest.
#   COSIGN_KEY=cosign.key build/sign.sh [registry.example.com/alcazar]
#   COSIGN_PASSWORD   the key's password; asked for where it is unset
#   PLAIN_HTTP=1      the registry speaks no TLS
# No service of Sigstore is asked: no certificate, no transparency log, no time stamp.
set -euo pipefail
cd "$(dirname "$0")/.."
source build/say.sh
registry=${1:-}
key=${COSIGN_KEY:?the private key: make one with cosign generate-key-pair}
images=(operator gateway runtime)
out=target/release
PATH=$PWD/target/cluster-bin:$PATH

for name in "${images[@]}"; do
  [[ -f target/images/$name.tar ]] || fail "target/images/$name.tar is not there: make images"
done
type -P helm >/dev/null || fail "helm is needed to package the chart; make cluster-bin builds one"
cosign=$(build/cosign.sh)
mkdir -p "$out"
# No services in it.
"$cosign" signing-config create --out "$out/signing.json"
sign=(--key "$key" --signing-config "$out/signing.json" --yes)

version=$(sed -n 's/^version: //p' charts/alcazar/Chart.yaml)
chart=alcazar-$version.tgz
helm package charts/alcazar --destination "$out" >/dev/null
for name in "${images[@]}"; do cp "target/images/$name.tar" "$out/"; done
for file in "${images[@]/%/.tar}" "$chart"; do
  "$cosign" sign-blob "${sign[@]}" --bundle "$out/$file.sigstore.json" "$out/$file" >/dev/null
  say "signed $out/$file"
done
[[ -n $registry ]] || exit 0

type -P skopeo >/dev/null || fail "skopeo is needed to push images; every distribution has it"
insecure=() helm_plain=() cosign_plain=()
if [[ -n ${PLAIN_HTTP:-} ]]; then
  insecure=(--dest-tls-verify=false) helm_plain=(--plain-http) cosign_plain=(--allow-http-registry)
fi
# The digests as the chart takes them: with this file, exactly the signed bytes run.
printf 'image:\n  registry: %s\n  digests:\n' "$registry" >"$out/values.yaml"
for name in "${images[@]}"; do
  skopeo copy --quiet --preserve-digests "${insecure[@]}" --digestfile "$out/digest" \
    "oci-archive:$out/$name.tar" "docker://$registry/$name:$version"
  "$cosign" sign "${sign[@]}" "${cosign_plain[@]}" "$registry/$name@$(<"$out/digest")" >/dev/null
  printf '    %s: %s\n' "$name" "$(<"$out/digest")" >>"$out/values.yaml"
  say "signed $registry/$name@$(<"$out/digest")"
done
pushed=$(helm push "${helm_plain[@]}" "$out/$chart" "oci://$registry/charts" 2>&1)
digest=$(sed -n 's/^Digest: //p' <<<"$pushed")
"$cosign" sign "${sign[@]}" "${cosign_plain[@]}" "$registry/charts/alcazar@$digest" >/dev/null
say "signed $registry/charts/alcazar@$digest"
