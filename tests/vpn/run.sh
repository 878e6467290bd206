#!/usr/bin/env bash
# The tunnel against WireGuard's own programs (Debian's wireguard-go and wg-quick) in network namespaces; needs root.
# REKEY=1 also waits for WireGuard's two-minute timer, for 150 seconds; the simulation holds it on a clock of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --quiet --workspace --example serve
program=$PWD/target/debug/examples/serve
# shellcheck source=tests/vpn/network.sh
. tests/vpn/network.sh
network_up

counted() { fetch "http://$ADDRESS/metrics" | awk -v name="$1" '$1 == "dropped" && $2 == name {print $3}'; }
refused() { ! LIMIT=2 fetch "http://$ADDRESS/bytes/1" >/dev/null 2>&1; }
port_of() { in_persons wg show anna listen-port; }

person anna 10.88.0.7
cd "$STATE"
start in_gateway "$program"

echo "a handshake, and HTTP through the tunnel"
up anna
within 10 fetch -o "$STATE/body" "http://$ADDRESS/bytes/5" 2>/dev/null || fail "no answer: $(cat "$STATE/log")"
[ "$(cat "$STATE/body")" = xxxxx ] || fail "another body"

echo "large bodies both ways"
head -c 20000000 /dev/urandom >"$STATE/large"
[ "$(LIMIT=60 fetch --data-binary "@$STATE/large" "http://$ADDRESS/")" = 20000000 ] || fail "upload"
[ "$(LIMIT=60 fetch "http://$ADDRESS/bytes/20000000" | wc -c)" = 20000000 ] || fail "download"

echo "only the address and its port answer"
! LIMIT=2 fetch "http://$ADDRESS:81/" >/dev/null 2>&1 || fail "another port answered"
[ "$(counted foreign_port)" -ge 1 ] || fail "it was not counted"
in_persons wg set anna peer "$(cat public.key)" allowed-ips "$ADDRESS/32,10.88.0.9/32"
in_persons ip route add 10.88.0.9/32 dev anna
! LIMIT=2 fetch "http://10.88.0.9/" >/dev/null 2>&1 || fail "another address answered"
[ "$(counted foreign_address)" -ge 1 ] || fail "it was not counted"

echo "a source that is not the peer's is dropped"
in_persons ip address add 10.88.0.8/32 dev anna
! LIMIT=2 fetch --interface 10.88.0.8 "http://$ADDRESS/bytes/1" >/dev/null 2>&1 || fail "a spoofed source was answered"
[ "$(counted spoofed_source)" -ge 1 ] || fail "it was not counted"

echo "a changed port and address during a transfer"
LIMIT=60 fetch --limit-rate 4M "http://$ADDRESS/bytes/20000000" >"$STATE/roaming" & roaming=$!
sleep 1
in_persons wg set anna listen-port $(($(port_of) + 1))
sleep 1
in_persons ip address del 10.99.0.2/24 dev "vp$$"
in_persons ip address add 10.99.0.4/24 dev "vp$$"
wait $roaming || fail "the transfer broke when the peer moved"
[ "$(wc -c <"$STATE/roaming")" = 20000000 ] || fail "bytes are missing"

echo "a wrong key gets nothing"
(umask 077 && wg genkey >wrong.key)
down anna
sed -i "s|^PrivateKey.*|PrivateKey = $(cat wrong.key)|" anna.conf
up anna
refused || fail "a key that nobody knows was let in"
[ "$(in_persons wg show anna latest-handshakes | awk '{print $2}')" = 0 ] || fail "its handshake was answered"
down anna

echo "revoked while streaming"
sed -i "s|^PrivateKey.*|PrivateKey = $(cat anna.key)|" anna.conf
up anna
within 10 fetch -o /dev/null "http://$ADDRESS/bytes/5" 2>/dev/null || fail "the right key was not let in again"
LIMIT=60 fetch --limit-rate 1M -o /dev/null "http://$ADDRESS/bytes/50000000" 2>/dev/null & stream=$!
sleep 1
cp peers all-peers
before=$SECONDS
: >peers
! wait $stream || fail "the stream of a revoked peer went on"
[ $((SECONDS - before)) -le 5 ] || fail "it took $((SECONDS - before)) s"
refused || fail "a revoked peer was answered"
cp all-peers peers

echo "a path of 1280 bytes, with the tunnel's packets in fragments and then whole"
path_mtu() { in_gateway ip link set "vg$$" mtu "$1" && in_persons ip link set "vp$$" mtu "$1"; }
fragments() { in_gateway awk '/^Ip:/ && NR == 2 {print $20}' /proc/net/snmp; }
both_ways() {
  [ "$(LIMIT=60 fetch --data-binary "@$STATE/large" "http://$ADDRESS/")" = 20000000 ] || fail "upload with $1"
  [ "$(LIMIT=60 fetch "http://$ADDRESS/bytes/20000000" | wc -c)" = 20000000 ] || fail "download with $1"
}
within 20 eval 'LIMIT=2 fetch -o /dev/null "http://$ADDRESS/bytes/5" 2>/dev/null' || fail "the peer was not let in again"
path_mtu 1280
before=$(fragments)
both_ways "fragments"
[ "$(fragments)" -gt "$before" ] || fail "nothing was in fragments"
in_persons ip link set anna mtu 1200
before=$(fragments)
both_ways "an MTU of 1200"
[ "$(fragments)" = "$before" ] || fail "packets that fit were in fragments"
[ "$(counted send_failed)" = 0 ] || fail "$(counted send_failed) datagrams were not taken"
path_mtu 1500

echo "50 peers at once"
down anna
: >peers
fetch_over() { fetch --interface "$1" "http://$ADDRESS/bytes/1000000" | wc -c; }
for number in $(seq 1 50); do
  person "p$number" "10.88.1.$number"
  alone "p$number" "$number"
done
within 5 eval '[ "$(LIMIT=2 fetch_over p50 2>/dev/null)" = 1000000 ]' || fail "the last peer was not let in"
waiting=()
for number in $(seq 1 50); do
  (LIMIT=60 fetch_over "p$number" >"$STATE/p$number.count") & waiting+=($!)
done
wait "${waiting[@]}"
for number in $(seq 1 50); do
  [ "$(cat "p$number.count")" = 1000000 ] || fail "peer $number got $(cat "p$number.count") bytes"
done
[ "$(fetch --interface p1 "http://$ADDRESS/metrics" | awk '$1 == "peer" && $3 != "never"' | wc -l)" = 50 ] || fail "a handshake is missing"

if [ "${REKEY:-0}" = 1 ]; then
  echo "a stream that outlives WireGuard's two minutes"
  age() { fetch --interface p1 "http://$ADDRESS/metrics" | awk '$1 == "peer" && $2 == "p1" {print $3}'; }
  LIMIT=200 fetch --interface p1 --limit-rate 200k "http://$ADDRESS/bytes/30000000" >"$STATE/long" || fail "the stream broke"
  [ "$(wc -c <long)" = 30000000 ] || fail "bytes are missing"
  [ "$(age)" -lt 120 ] || fail "no new handshake in $(age) s"
fi
echo "passed"
