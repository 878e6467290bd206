#!/usr/bin/env bash
# What can be known about the programs from outside: their bills of materials.
set -euo pipefail
cd "$(dirname "$0")/../.."
build/venv.sh target/supply tests/supply/requirements.txt
target/supply/venv/bin/python tests/supply/bills.py
