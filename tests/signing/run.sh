#!/usr/bin/env bash
# Model signatures both ways with the reference implementation, the PyPI tool model-signing.
# Installs its pinned version below target/signing first.
set -euo pipefail
cd "$(dirname "$0")/../.."
state=target/signing
here=tests/signing
command -v python3 >/dev/null || { echo "python3 with venv is needed (apt-get install python3-venv)" >&2; exit 1; }
command -v openssl >/dev/null || { echo "openssl is needed (apt-get install openssl)" >&2; exit 1; }
mkdir -p "$state"
if ! cmp -s "$here/requirements.txt" "$state/requirements.txt"; then
  echo "installing model-signing"
  python3 -m venv "$state/venv"
  "$state/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$state/requirements.txt"
fi
ALCAZAR_MODEL_SIGNING=$PWD/$state/venv/bin/model_signing cargo test --workspace --test interop
