# shellcheck shell=bash
# Namespaces, keys and tunnels for the scripts of this folder. Whoever reads it in has set -euo pipefail and stands in the repository.
#
#   persons (wireguard-go, wg-quick, curl)  10.99.0.2 ── veth ── 10.99.0.1  gateway (ours, or wireguard-go to compare with)

# shellcheck source=tests/vpn/packages.sh
. tests/vpn/packages.sh
STATE=$(mktemp -d)
GATEWAY=vpn-gateway-$$
PERSONS=vpn-persons-$$
ADDRESS=10.88.0.1
started=()

in_gateway() { ip netns exec "$GATEWAY" "$@"; }
in_persons() { ip netns exec "$PERSONS" "$@"; }

network_up() {
  [ "$(id -u)" = 0 ] || fail "network namespaces need root"
  [ -c /dev/net/tun ] || fail "wireguard-go needs /dev/net/tun"
  vpn_packages
  trap network_down EXIT
  ip netns add "$GATEWAY"
  ip netns add "$PERSONS"
  ip link add "vg$$" netns "$GATEWAY" type veth peer name "vp$$" netns "$PERSONS"
  in_gateway ip address add 10.99.0.1/24 dev "vg$$"
  in_persons ip address add 10.99.0.2/24 dev "vp$$"
  in_persons ip address add 10.99.0.3/24 dev "vp$$"
  for link in lo "vg$$"; do in_gateway ip link set "$link" up; done
  for link in lo "vp$$"; do in_persons ip link set "$link" up; done
  (umask 077 && wg genkey >"$STATE/private.key")
  wg pubkey <"$STATE/private.key" >"$STATE/public.key"
  : >"$STATE/peers"
}

network_down() {
  local pid
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  # wireguard-go leaves when its interface goes, and that goes with the namespace.
  for namespace in "$PERSONS" "$GATEWAY"; do
    ip netns pids "$namespace" 2>/dev/null | xargs -r kill 2>/dev/null || true
    ip netns delete "$namespace" 2>/dev/null || true
  done
  rm -rf "$STATE"
}

# start COMMAND...: in the background, until the script ends.
start() { "$@" >>"$STATE/log" 2>&1 & started+=($!); }

# person NAME ADDRESS: keys, a line for the gateway, and a wg-quick file that is not used yet.
person() {
  (umask 077 && wg genkey >"$STATE/$1.key")
  echo "$(wg pubkey <"$STATE/$1.key") $2 $1" >>"$STATE/peers"
  cat >"$STATE/$1.conf" <<CONF
[Interface]
PrivateKey = $(cat "$STATE/$1.key")
Address = $2/32
MTU = ${MTU:-1420}

[Peer]
PublicKey = $(cat "$STATE/public.key")
Endpoint = 10.99.0.1:51820
AllowedIPs = $ADDRESS/32
PersistentKeepalive = 25
CONF
}

# up NAME / down NAME: WireGuard's own program with that file.
up() { in_persons env WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go LOG_LEVEL=error wg-quick up "$STATE/$1.conf" >>"$STATE/log" 2>&1; }
down() { in_persons wg-quick down "$STATE/$1.conf" >>"$STATE/log" 2>&1; }

# alone NAME NUMBER: the same beside others that lead to the same address; `fetch --interface NAME` chooses.
alone() {
  in_persons env LOG_LEVEL=error wireguard-go "$1" >>"$STATE/log" 2>&1
  wg-quick strip "$STATE/$1.conf" >"$STATE/$1.stripped"
  in_persons wg setconf "$1" "$STATE/$1.stripped"
  in_persons ip address add "$(sed -n 's/^Address = //p' "$STATE/$1.conf")" dev "$1"
  in_persons ip link set "$1" mtu 1420 up
  in_persons ip route add "$ADDRESS/32" dev "$1" metric "$2"
}

fetch() { in_persons curl --silent --show-error --fail --max-time "${LIMIT:-10}" "$@"; }

# within SECONDS COMMAND...: tries until it succeeds.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}
