#!/bin/bash
# Builds the programs of the embedded Kubernetes into target/cluster-bin, if a source has changed. No root, no cluster. `make cluster-bin` calls it.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
for part in settings build; do
  # shellcheck source=/dev/null
  . "$HERE/lib/$part.sh"
done
step "programs" "Kubernetes, etcd, CoreDNS, helm and the rig from Go modules, minutes the first time" build_programs
