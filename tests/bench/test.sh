#!/usr/bin/env bash
# The harness's own tests: what it computes, judges and parses, and its load generator against a server of its own. Python alone.
set -euo pipefail
cd "$(dirname "$0")"
command -v python3 >/dev/null || { echo "python3 is needed (apt-get install python3)" >&2; exit 1; }
python3 -m unittest discover --start-directory unit --top-level-directory . --pattern 'test_*.py'
