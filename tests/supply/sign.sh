#!/usr/bin/env bash
# build/sign.sh and build/verify.sh with a key of the test's own, against a registry on the loopback: what was signed verifies;
# another key, another image under the same tag, a signature that was carried over to it, and a flipped bit do not.
set -euo pipefail
cd "$(dirname "$0")/../.."
source build/say.sh
state=$PWD/target/supply
registry=
work=

need() {
  local missing=()
  type -P skopeo >/dev/null || missing+=(skopeo)
  type -P docker-registry >/dev/null || missing+=(docker-registry)
  [[ ${#missing[@]} == 0 ]] || step "installing ${missing[*]}" apt_install "${missing[@]}"
}

apt_install() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

stop() {
  [[ -z $registry ]] || { kill "$registry" 2>/dev/null; wait "$registry" 2>/dev/null; } || true
  [[ -z $work ]] || rm -rf "$work"
}
trap stop EXIT

# start: a registry on a free port, with its data in $work. Sets $at.
start() {
  local port began=$SECONDS
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  cat >"$work/registry.yaml" <<YAML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/data}}
http: {addr: "127.0.0.1:$port"}
YAML
  docker-registry serve "$work/registry.yaml" >"$state/registry.log" 2>&1 &
  registry=$!
  until curl --silent --fail "http://127.0.0.1:$port/v2/" >/dev/null; do
    if ! kill -0 "$registry" 2>/dev/null || ((SECONDS - began > 20)); then fail "the registry does not answer, see $state/registry.log"; fi
    sleep 0.1
  done
  at=127.0.0.1:$port/alcazar
}

# keys NAME: a pair NAME.key, NAME.pub without a password.
keys() { (cd "$work" && "$cosign" generate-key-pair --output-key-prefix "$1" 2>/dev/null); }

# refused WHAT COMMAND...: the command must fail, and for want of a signature.
refused() {
  local what=$1
  shift
  if "$@" >"$state/refused.log" 2>&1; then fail "$what was verified"; fi
  grep -qE 'is not what was signed with this key|has no signature by this key' "$state/refused.log" ||
    { cat "$state/refused.log" >&2; fail "$what failed for another reason"; }
  say "refused: $what"
}

digest_of() { skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$1"; }

# The same program with another label, under the tag of the signed one.
another_image() {
  python3 tests/supply/relabel.py target/images/operator.tar "$work/changed"
  skopeo copy --quiet --dest-tls-verify=false "oci:$work/changed" "docker://$at/operator:$version"
}

# carry_over FROM TO: the list of signatures under one tag is put under another.
carry_over() {
  local manifests=http://${at/\//\/v2\/}/operator/manifests kind=application/vnd.oci.image.index.v1+json
  curl --silent --fail --header "Accept: $kind" "$manifests/$1" --output "$work/signatures.json"
  curl --silent --fail --request PUT --header "Content-Type: $kind" --data-binary "@$work/signatures.json" "$manifests/$2"
}

mkdir -p "$state"
work=$(mktemp -d "$state/work.XXXXXX")
need
cosign=$(build/cosign.sh)
export COSIGN_PASSWORD='' PLAIN_HTTP=1
version=$(sed -n 's/^version: //p' charts/alcazar/Chart.yaml)
keys ours
keys theirs
start

COSIGN_KEY=$work/ours.key build/sign.sh "$at"
export COSIGN_PUB=$work/ours.pub
build/verify.sh
build/verify.sh "$at"

signed=$(digest_of "$at/operator:$version")
grep -q "operator: $signed" target/release/values.yaml || fail "the values for the chart name another digest than $signed"
COSIGN_PUB=$work/theirs.pub refused "another key, files" build/verify.sh
COSIGN_PUB=$work/theirs.pub refused "another key, images" build/verify.sh "$at"

cp target/release/gateway.tar "$work/gateway.tar"
python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(4096); b = f.read(1); f.seek(4096); f.write(bytes([b[0] ^ 1]))' target/release/gateway.tar
refused "an archive with a flipped bit" build/verify.sh
cp "$work/gateway.tar" target/release/gateway.tar

another_image
changed=$(digest_of "$at/operator:$version")
[[ $changed != "$signed" ]] || fail "the changed image has the digest of the signed one"
refused "another image under the same tag" build/verify.sh "$at"
# cosign finds signatures under a tag that is made of the digest; whoever may push may put any there.
carry_over "${signed/:/-}" "${changed/:/-}"
refused "another image with the signature of the signed one" build/verify.sh "$at"
grep -q 'digest does not match' "$state/refused.log" || fail "the signature that was carried over was not found: nothing was tried"
skopeo copy --quiet --src-tls-verify=false --dest-tls-verify=false "docker://$at/operator@$signed" "docker://$at/operator:$version"
build/verify.sh "$at"
say "signatures: 2 verified, 5 refused"
