#!/usr/bin/env bash
# What the tunnel costs against wireguard-go as the server, on the same path with the same clients; needs root.
# bench.sh [ROUNDS]: rounds take turns, so that what else the machine does meets both. Megabytes a second, milliseconds, and the
# processor's seconds that the server's programs took for a transfer; medians and the ratio of the medians last.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-7}
bytes=100000000
cargo build --quiet --release --package alcazar-vpn --example serve
program=$PWD/target/release/examples/serve
# shellcheck source=tests/vpn/network.sh
. tests/vpn/network.sh
network_up
cd "$STATE"
head -c $bytes /dev/zero >upload

# Ours answers at 10.88.0.1; wireguard-go's interface in the same namespace has 10.88.0.2, and the same program behind it.
person ours 10.88.0.7
start in_gateway "$program"
up ours
ADDRESS=10.88.0.2
person theirs 10.88.0.8
sed -i 's/:51820/:51821/' theirs.conf
in_gateway env LOG_LEVEL=error wireguard-go theirs-server >>log 2>&1
in_gateway wg set theirs-server private-key private.key listen-port 51821 \
  peer "$(wg pubkey <theirs.key)" allowed-ips 10.88.0.8/32
in_gateway ip address add 10.88.0.2/16 dev theirs-server
in_gateway ip link set theirs-server mtu 1420 up
start in_gateway "$program" --plain 10.88.0.2:80
up theirs
within 10 eval 'fetch -o /dev/null http://10.88.0.1/bytes/1 2>/dev/null && fetch -o /dev/null http://10.88.0.2/bytes/1 2>/dev/null' \
  || fail "no answer: $(cat log)"

speed() { LIMIT=120 fetch -o /dev/null -w "$1\n" "${@:2}" | awk '{printf "%.1f\n", $1 / 1000000}'; }
download() { speed '%{speed_download}' "http://$1/bytes/$bytes"; }
upload() { speed '%{speed_upload}' --data-binary @upload "http://$1/"; }
# One connection, 300 small answers one after the other: the median.
latency() {
  local urls=()
  for _ in $(seq 300); do urls+=(-o /dev/null "http://$1/bytes/100"); done
  LIMIT=120 fetch -w '%{time_total}\n' "${urls[@]}" | sort -n | awk '{all[NR] = $1} END {printf "%.3f\n", all[int((NR + 1) / 2)] * 1000}'
}
# Seconds of the processor that the programs of one server have taken so far.
processor() {
  local pid words ticks=0
  for pid in $(ip netns pids "$GATEWAY"); do
    words=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) || continue
    case $words in *"--plain"* | *theirs-server*) [ "$1" = theirs ] ;; *"$program"*) [ "$1" = ours ] ;; *) false ;; esac || continue
    ticks=$((ticks + $(awk '{print $14 + $15}' "/proc/$pid/stat")))
  done
  awk -v ticks=$ticks 'BEGIN {printf "%.2f\n", ticks / 100}'
}
median() { sort -n "$1" | awk '{all[NR] = $1} END {print all[int((NR + 1) / 2)]}'; }

for round in $(seq "$rounds"); do
  for kind in download upload latency; do
    for who in ours:10.88.0.1 theirs:10.88.0.2; do
      before=$(processor "${who%%:*}")
      $kind "${who#*:}" >>"$kind-${who%%:*}"
      awk -v a="$(processor "${who%%:*}")" -v b="$before" 'BEGIN {printf "%.2f\n", a - b}' >>"processor-$kind-${who%%:*}"
    done
    echo "round $round $kind: ours $(tail -1 $kind-ours), wireguard-go $(tail -1 $kind-theirs)"
  done
done
for kind in download upload latency processor-download processor-upload; do
  ours=$(median $kind-ours) theirs=$(median $kind-theirs)
  echo "$kind: ours $ours, wireguard-go $theirs, ratio $(awk -v a="$ours" -v b="$theirs" 'BEGIN {printf "%.2f", a / b}')"
done
