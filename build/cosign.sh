#!/usr/bin/env bash
# cosign from its Go module into target/supply/bin, once for each version; some minutes on two cores. Prints its path.
set -euo pipefail
cd "$(dirname "$0")/.."
source build/say.sh
version=v3.1.3
bin=$PWD/target/supply/bin/cosign-$version
if [[ ! -x $bin ]]; then
  command -v go >/dev/null || fail "go is needed to build cosign $version"
  install_cosign() {
    # The checksum database vouches for the module and all below it.
    GOBIN=$PWD/target/supply/new CGO_ENABLED=0 go install -trimpath -ldflags=-s "github.com/sigstore/cosign/v3/cmd/cosign@$version"
  }
  step "cosign $version from its Go module (once, some minutes)" install_cosign
  mkdir -p target/supply/bin
  mv target/supply/new/cosign "$bin"
fi
echo "$bin"
