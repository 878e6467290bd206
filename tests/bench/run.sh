#!/usr/bin/env bash
# make bench: the runtime beside llama.cpp and others on the same files and cores, into target/bench.
#   ONLY=prefill,decode  the measures, all without it      ROUNDS=5   rounds, after one that warms up
#   THREADS=2            of each program                   CORES=0,1  where they compute
#   QUICK=1              tries the harness with little work; its figures say nothing
#   RUNTIME=PROGRAM      instead of building it            LLAMA=DIR  another llama.cpp, with llama-server and llama-quantize
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/bench
only=${ONLY:-}
has() { [ -z "$only" ] || [[ ",$only," == *",$1,"* ]]; }
encoders=
has encoder && encoders=encoders

"$here/install.sh" peers
[ -z "$encoders" ] || "$here/install.sh" encoders
"$here/models.sh" $encoders
runtime=${RUNTIME:-}
if [ -z "$runtime" ]; then
  echo "building alcazar-runtime for release" >&2
  cargo build --release --locked --package alcazar-server --bins
  runtime=$PWD/target/release/alcazar-runtime
fi
arguments=(--runtime "$runtime" --rounds "${ROUNDS:-5}" --threads "${THREADS:-2}" --only "$only")
[ -z "${CORES:-}" ] || arguments+=(--cores "$CORES")
[ -z "${LLAMA:-}" ] || arguments+=(--llama "$LLAMA")
[ -z "${QUICK:-}" ] || arguments+=(--quick)
exec python3 "$here/bench.py" "${arguments[@]}"
