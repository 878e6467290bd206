#!/usr/bin/env bash
# Installs the pinned client libraries below target/clients, once.
set -euo pipefail
cd "$(dirname "$0")/../.."
state=target/clients
here=tests/clients
command -v npm >/dev/null || { echo "node and npm are needed (apt-get install npm)" >&2; exit 1; }

# About 150 MB.
build/venv.sh "$state" "$here/requirements.txt"
if ! cmp -s "$here/package.json" "$state/package.json"; then
  echo "installing the npm client"
  (cp "$here/package.json" "$state/package.json.new" && mkdir -p "$state/node" && cp "$here/package.json" "$state/node/" \
    && cd "$state/node" && npm install --silent --no-fund --no-audit)
  mv "$state/package.json.new" "$state/package.json"
fi
