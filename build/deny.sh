#!/usr/bin/env bash
# cargo-deny on Cargo.lock, by deny.toml: deny.sh CHECK...   (licenses, bans, sources, advisories)
# Always the pinned version, so that two machines never judge differently.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo "use: $0 CHECK..., of licenses, bans, sources, advisories" >&2; exit 2; }
build/venv.sh target/deny build/deny-requirements.txt
target/deny/venv/bin/cargo-deny --locked check --hide-inclusion-graph "$@"
