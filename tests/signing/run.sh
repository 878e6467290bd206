#!/usr/bin/env bash
# Model signatures both ways with the reference implementation, the PyPI tool model-signing.
# Installs its pinned version below target/signing first.
set -euo pipefail
cd "$(dirname "$0")/../.."
state=target/signing
command -v openssl >/dev/null || { echo "openssl is needed (apt-get install openssl)" >&2; exit 1; }
build/venv.sh "$state" tests/signing/requirements.txt
ALCAZAR_MODEL_SIGNING=$PWD/$state/venv/bin/model_signing cargo test --workspace --test interop
