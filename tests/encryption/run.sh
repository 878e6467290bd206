#!/usr/bin/env bash
# Encrypted weights both ways with the reference implementation of their format, age (Debian's package, or its Go module).
set -euo pipefail
cd "$(dirname "$0")/../.."
state=$PWD/target/encryption
apt_install() { DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 install "$@" >/dev/null 2>&1; }
if [ -x "$state/age" ] && [ -x "$state/age-keygen" ]; then
  tools=$state
else
  if ! command -v age-keygen >/dev/null; then
    echo "installing age"
    apt_install age || { apt-get -qq update && apt_install age; } || true
  fi
  if command -v age-keygen >/dev/null; then
    tools=$(dirname "$(command -v age-keygen)")
  else
    command -v go >/dev/null || { echo "age is needed (apt-get install age), or Go to build it" >&2; exit 1; }
    GOBIN=$state go install filippo.io/age/cmd/age@v1.2.1 filippo.io/age/cmd/age-keygen@v1.2.1
    tools=$state
  fi
fi
"$tools/age" --version
ALCAZAR_AGE=$tools cargo test --workspace --test age_tool
