# Starts and stops the programs of a cluster. A process is known by pid, start time and program, so that nothing foreign is ever signalled.
# shellcheck shell=bash

# Prints when a process began, in clock ticks since the boot.
begin_of() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The name in parentheses may hold blanks; after the last one the begin is the 20th field.
  awk '{ print $20 }' <<<"${stat##*) }"
}

# start NAME PROGRAM ARGUMENT...: nothing if it runs already.
start() {
  local name=$1 program=$2
  alive "$name" && return 0
  # A file descriptor of the caller, its lock above all, must not stay open in a process that outlives it.
  setsid "${@:2}" >"$LOGS/$name.log" 2>&1 </dev/null 9>&- &
  echo "$! $(begin_of $!) $(readlink -f "$program")" >"$STATE/run/$name.pid"
}

# alive NAME: whether the process that was started under this name still runs.
alive() {
  local pid begin program current
  [ -f "$STATE/run/$1.pid" ] || return 1
  read -r pid begin program <"$STATE/run/$1.pid"
  [ -n "$program" ] && [ "$(begin_of "$pid")" = "$begin" ] || return 1
  current=$(readlink "/proc/$pid/exe") || return 1
  # Before its exec it is still the shell or setsid; after a rebuild the program's file is gone.
  case ${current% (deleted)} in "$program" | */setsid | */bash) ;; *) return 1 ;; esac
}

# stop NAME [SECONDS]: asks it to end, and ends it after SECONDS (default 5).
stop() {
  local pid rest tries
  if alive "$1"; then
    read -r pid rest <"$STATE/run/$1.pid"
    kill "$pid" 2>/dev/null || true
    for ((tries = 0; tries < ${2:-5} * 10; tries++)); do
      alive "$1" || break
      sleep 0.1
    done
    ! alive "$1" || kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$STATE/run/$1.pid"
}

# await NAME SECONDS WHAT COMMAND...: repeats the command until it succeeds; shows the log if the process ends or the time is over.
await() {
  local name=$1 deadline=$((SECONDS + $2)) what=$3
  shift 3
  until "$@" >/dev/null 2>&1; do
    if ! alive "$name" || [ "$SECONDS" -ge "$deadline" ]; then
      tail -n 20 "$LOGS/$name.log" >&2
      fail "$what: $name did not get there; its log is $LOGS/$name.log"
    fi
    sleep 0.1
  done
}
