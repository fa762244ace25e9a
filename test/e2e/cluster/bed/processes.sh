# Starting, watching and stopping the bed's own processes. Source it inside the bed's namespaces.
PIDS=/run/bed

runs() { [ -f "$PIDS/$1.pid" ] && kill -0 "$(cat "$PIDS/$1.pid")" 2>/dev/null; }

# start NAME COMMAND...: unless it runs already; what it says is in log/NAME.log.
start() {
  local name=$1
  shift
  runs "$name" && return
  setsid "$@" >"$LOG/$name.log" 2>&1 </dev/null &
  echo $! >"$PIDS/$name.pid"
}

stop() {
  local pid
  pid=$(cat "$PIDS/$1.pid")
  kill "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
}

# fail NAME WHAT: says what is wrong, with the end of that process's log.
fail() {
  printf '%s\nthe end of %s:\n' "$2" "$LOG/$1.log" >&2
  tail -n 8 "$LOG/$1.log" >&2
  exit 1
}

# until_it NAME WHAT SECONDS COMMAND...: repeats the command until it succeeds; gives up when the process has ended.
until_it() {
  local name=$1 what=$2 deadline=$((SECONDS + $3))
  shift 3
  until "$@" >/dev/null 2>"$PIDS/last-error"; do
    runs "$name" || fail "$name" "$name ended before it could be said: $what"
    if [ "$SECONDS" -ge "$deadline" ]; then
      cat "$PIDS/last-error" >&2
      fail "$name" "not in time: $what"
    fi
    sleep 0.3
  done
  echo "after $SECONDS s: $what"
}

# retry WHAT SECONDS COMMAND...: for what a server that has just started may still refuse.
retry() {
  local what=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>"$PIDS/last-error"; do
    [ "$SECONDS" -lt "$deadline" ] || { cat "$PIDS/last-error" >&2; echo "not in time: $what" >&2; exit 1; }
    sleep 0.5
  done
}

# write FILE: standard input becomes its content, only when that differs.
write() {
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}
