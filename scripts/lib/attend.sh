# The outer half of lib/supervise: its signals, its status, the time limit.

# attend PID CONTROL STATUS [READER]: attends the process group PID, whose inner half reads file descriptor CONTROL and writes STATUS,
# from "up" on, which the caller has read. READER copies COMMAND's output: when it ends early, nobody listens any more.
# Sets $command_status, or leaves it empty when the inner half vanished.
attend() {
  local pid=$1 control=$2 status=$3 reader=${4:-} line deadline=${BULKHEAD_TIMEOUT:-} asked=
  command_status=
  tell() { printf '%s\n' "$1" >&"$control" 2>/dev/null || true; }
  local signal
  # shellcheck disable=SC2064
  for signal in INT QUIT TERM HUP; do trap "tell $signal" "$signal"; done
  [ -z "$deadline" ] || deadline=$((SECONDS + deadline))
  tell go
  while :; do
    line=
    if read -r -t 1 -u "$status" line; then
      [[ $line =~ ^exit\ ([0-9]+) ]] && { command_status=${BASH_REMATCH[1]}; break; }
    elif [ $? -le 128 ] && [ -z "$line" ]; then
      break
    fi
    if [ -n "$reader" ] && ! kill -0 "$reader" 2>/dev/null; then tell PIPE; reader=; fi
    if [ -n "$deadline" ] && [ $SECONDS -ge "$deadline" ]; then
      if [ -z "$asked" ]; then
        say "not done within $BULKHEAD_TIMEOUT s: ending it"
        tell TERM; asked=1 deadline=$((SECONDS + 5))
      else
        tell KILL; deadline=$((SECONDS + 5)); [ "$asked" = 1 ] || break
        asked=2
      fi
    fi
  done
  trap '' INT QUIT TERM HUP
  [ -z "$asked" ] || command_status=124
}

# Ends a process group that has nothing more to say: by itself within a while, or by force.
finish_group() {
  local pid=$1 tenths=$2
  while [ "$tenths" -gt 0 ] && kill -0 "$pid" 2>/dev/null; do sleep 0.1; tenths=$((tenths - 1)); done
  kill -KILL -- "-$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

# New FIFOs `in` and `out` in a folder, and $control and $status as our ends of them.
make_pipes() {
  rm -f "$1"/{in,out}
  mkfifo "$1/in" "$1/out"
}

# await_up PID SECONDS FOLDER: waits until the inner half says "up"; then our ends are open as $control and $status.
await_up() {
  local pid=$1 deadline=$((SECONDS + $2)) both line
  exec {both}<>"$3/out"
  exec {control}<>"$3/in"
  while [ $SECONDS -lt "$deadline" ] && kill -0 "$pid" 2>/dev/null; do
    line=
    if read -r -t 1 -u "$both" line && [[ $line = up* ]]; then
      # Now one that ends when the inner half does.
      exec {status}<"$3/out" {both}>&-
      return 0
    fi
  done
  exec {both}>&- {control}>&-
  return 1
}
