#!/bin/bash
# Tests the Go code of the rig with the flags of its build, so that Kubernetes is not compiled a second time: test.sh [PACKAGE...]
# `test.sh vet` runs gofmt and go vet instead; vet reads all of Kubernetes too, which takes minutes the first time.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
for part in settings build; do
  # shellcheck source=/dev/null
  . "$HERE/lib/$part.sh"
done
check_go
cd "$HERE"
# Tests with real packets make network namespaces.
[ "$(id -u)" != 0 ] || export ALCAZAR_RIG=1
if [ "${1:-}" = vet ]; then
  unformatted=$(gofmt -l .)
  [ -z "$unformatted" ] || fail "run gofmt -w on: $unformatted"
  go vet ./...
else
  [ $# -gt 0 ] || set -- ./...
  go test -vet=off "$@"
fi
