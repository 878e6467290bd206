#!/usr/bin/env bash
# Installs the pinned client libraries below target/clients, once.
set -euo pipefail
cd "$(dirname "$0")/../.."
state=target/clients
here=tests/clients
command -v python3 >/dev/null || { echo "python3 with venv is needed (apt-get install python3-venv)" >&2; exit 1; }
command -v npm >/dev/null || { echo "node and npm are needed (apt-get install npm)" >&2; exit 1; }
mkdir -p "$state"

if ! cmp -s "$here/requirements.txt" "$state/requirements.txt"; then
  echo "installing the Python clients (about 150 MB)"
  python3 -m venv "$state/venv"
  "$state/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$state/requirements.txt"
fi
if ! cmp -s "$here/package.json" "$state/package.json"; then
  echo "installing the npm client"
  (cp "$here/package.json" "$state/package.json.new" && mkdir -p "$state/node" && cp "$here/package.json" "$state/node/" \
    && cd "$state/node" && npm install --silent --no-fund --no-audit)
  mv "$state/package.json.new" "$state/package.json"
fi
