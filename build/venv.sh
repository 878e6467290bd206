#!/usr/bin/env bash
# Pinned Python packages in a virtual environment DIRECTORY/venv, made once for each list: venv.sh DIRECTORY REQUIREMENTS
set -euo pipefail
[ $# = 2 ] || { echo "use: $0 DIRECTORY REQUIREMENTS" >&2; exit 2; }
state=$1 list=$2
cmp -s "$list" "$state/requirements.txt" && exit 0
command -v python3 >/dev/null || { echo "python3 with venv is needed (apt-get install python3-venv)" >&2; exit 1; }
echo "installing what $list names" >&2
mkdir -p "$state"
python3 -m venv --clear "$state/venv"
"$state/venv/bin/pip" install --quiet --disable-pip-version-check -r "$list"
# Last, so that an install that broke off is made again.
cp "$list" "$state/requirements.txt"
