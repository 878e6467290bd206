#!/usr/bin/env bash
# Runs the official and the common client libraries against the runtime, with the real SmolLM2.
# Installs pinned versions below target/clients first; starts the server on a free port of the loopback and stops it.
set -euo pipefail
cd "$(dirname "$0")/../.."
state=target/clients
here=tests/clients
program=${ALCAZAR_RUNTIME:-target/debug/alcazar-runtime}
model=$(tests/reference/model.sh)
[ -x "$program" ] || { echo "$program is not built: cargo build --workspace" >&2; exit 1; }
mkdir -p "$state"
tests/clients/install.sh

server=
stop() {
  [ -z "$server" ] && return
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
}
trap stop EXIT

# serve FLAGS…: starts the program with the model and waits until it answers.
serve() {
  # The log of an earlier run would name another port.
  : >"$state/server.log"
  "$program" serve --model "$model" --name smollm2 --listen 127.0.0.1:0 --probe-listen 127.0.0.1:0 \
    --termination-log "$state/last-word" "$@" 2>"$state/server.log" &
  server=$!
  local began=$SECONDS
  until grep -q '"message":"serving"' "$state/server.log"; do
    if ! kill -0 "$server" 2>/dev/null || [ $((SECONDS - began)) -gt 120 ]; then
      echo "the server does not serve:" >&2
      tail -5 "$state/server.log" >&2
      exit 1
    fi
    sleep 0.2
  done
  ALCAZAR_API="http://$(grep -o '"api":"[^"]*"' "$state/server.log" | cut -d'"' -f4)"
  export ALCAZAR_API
}

# No client shall look for anything but the server.
export LITELLM_LOCAL_MODEL_COST_MAP=True LANGCHAIN_TRACING_V2=false DO_NOT_TRACK=1 NO_PROXY=127.0.0.1

python3 "$here/adapter.py" "$state/adapter"
serve --context-length 1024 --max-queued 200 --adapter "tuned=$state/adapter"
timeout 240 "$state/venv/bin/python" "$here/clients.py"
cp "$here/client.mjs" "$state/node/"
timeout 60 node "$state/node/client.mjs"
stop

# Short answers and few at a time, since what is random is often endless.
serve --context-length 96 --max-sequences 4 --max-queued 8
# Random requests out of the description: whatever comes, no answer may be a server's error.
# It leaves a cache where it runs.
(cd "$state" && timeout 120 venv/bin/schemathesis run "$ALCAZAR_API/openapi.json" --checks not_a_server_error --phases examples,fuzzing \
  --max-examples 12 --generation-deterministic --request-timeout 60 --max-time 75 --no-color) >"$state/schemathesis.log" \
  || { tail -60 "$state/schemathesis.log" >&2; exit 1; }
echo "schemathesis: $(grep -E 'generated|Test cases|passed' "$state/schemathesis.log" | tail -1 | xargs)"
kill -0 "$server" || { echo "the server did not live through it" >&2; exit 1; }
