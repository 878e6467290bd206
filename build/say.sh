# Sourced by the other scripts: one line per step, with the time it took.
# shellcheck shell=bash
say() { printf '%s\n' "$*" >&2; }
fail() { printf 'failed: %s\n' "$*" >&2; exit 1; }

# step "what" command...: says what happens and how long it took; its output goes to target/logs.
step() {
  local what=$1 began=$SECONDS log; shift
  mkdir -p target/logs
  log=$(tr -cs 'a-z0-9' - <<<"${what,,}") && log=target/logs/${log:0:40}.log
  say "→ $what"
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    fail "$what, after $((SECONDS - began)) s; the whole output is in $log"
  fi
  say "  $((SECONDS - began)) s"
}
