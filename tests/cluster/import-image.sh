#!/bin/bash
# Gives image archives (OCI or docker form) to a running cluster: import-image.sh FILE...
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
for part in settings process node; do
  # shellcheck source=/dev/null
  . "$HERE/lib/$part.sh"
done
[ $# -gt 0 ] || fail "use: import-image.sh FILE..."
alive containerd || fail "there is no running cluster with a node in $STATE"
import_images "$@"
