#!/usr/bin/env bash
# Verifies what build/sign.sh has signed: the files of target/release, or with a registry what lies there under VERSION.
#   COSIGN_PUB=cosign.pub build/verify.sh [registry.example.com/alcazar [VERSION]]
#   PLAIN_HTTP=1      the registry speaks no TLS
# Ends at the first thing that no signature of this key is for.
set -euo pipefail
cd "$(dirname "$0")/.."
source build/say.sh
registry=${1:-}
version=${2:-$(sed -n 's/^version: //p' charts/alcazar/Chart.yaml)}
out=target/release
cosign=$(build/cosign.sh)
# A signature by a key of your own is in no transparency log.
check=(--key "${COSIGN_PUB:?the public key}" --insecure-ignore-tlog)
if [[ -z $registry ]]; then
  for file in operator.tar gateway.tar runtime.tar "alcazar-$version.tgz"; do
    "$cosign" verify-blob "${check[@]}" --bundle "$out/$file.sigstore.json" "$out/$file" >/dev/null ||
      fail "$out/$file is not what was signed with this key"
    say "verified $out/$file"
  done
  exit 0
fi
[[ -z ${PLAIN_HTTP:-} ]] || check+=(--allow-http-registry)
for name in operator gateway runtime charts/alcazar; do
  "$cosign" verify "${check[@]}" "$registry/$name:$version" >/dev/null || fail "$registry/$name:$version has no signature by this key"
  say "verified $registry/$name:$version"
done
