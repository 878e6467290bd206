#!/usr/bin/env bash
# What can be known about the programs from outside: bills of materials, and the list of crates that each program in an image carries.
set -euo pipefail
cd "$(dirname "$0")/../.."
build/venv.sh target/supply tests/supply/requirements.txt
target/supply/venv/bin/python tests/supply/bills.py
python3 tests/supply/carried.py
