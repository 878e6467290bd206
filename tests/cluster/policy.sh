#!/bin/bash
# Switches the enforcement of NetworkPolicy in a running cluster: policy.sh off|on [OPTION...]. Off stays off until on, or cluster-down.
# An option goes to the engine, such as `on --delay 3s`, with which it learns of each new pod as late as a slow engine does.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
for part in settings process addons; do
  # shellcheck source=/dev/null
  . "$HERE/lib/$part.sh"
done
[ -f "$STATE/settings" ] || fail "there is no cluster in $STATE"
case ${1:-} in
  off)
    touch "$STATE/policy-off"
    stop policy
    ;;
  on)
    rm -f "$STATE/policy-off"
    [ $# -eq 1 ] || stop policy
    start_policy "${@:2}"
    ;;
  *) fail "use: policy.sh off|on [OPTION...]" ;;
esac
