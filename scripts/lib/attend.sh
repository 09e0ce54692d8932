# The outer half of lib/supervise: its signals, its status, the time limit.

# Waits a second for a line from a descriptor, and puts it into $heard. `read` gives up between the bytes of a line as well, so
# what it had by then is kept: lost, it made one boot in thirty on a busy machine look as if the guest had never spoken.
hear() {
  local part= status
  heard= heard_end=
  read -r -t 1 -u "$1" part && { heard=$half_heard$part half_heard=; return 0; }
  status=$?
  half_heard+=$part
  # Above 128 it is the time; else the end.
  [ $status -gt 128 ] || heard_end=1
  return 1
}
half_heard=

# attend PID CONTROL STATUS [READER]: attends the process group PID, whose inner half reads file descriptor CONTROL and writes STATUS,
# from "up" on, which the caller has read. READER copies COMMAND's output: when it ends early, nobody listens any more.
# Sets $command_status, or leaves it empty when the inner half vanished.
attend() {
  local pid=$1 control=$2 status=$3 reader=${4:-} deadline=${BULKHEAD_TIMEOUT:-} asked=
  command_status=
  tell() { printf '%s\n' "$1" >&"$control" 2>/dev/null || true; }
  local signal
  # shellcheck disable=SC2064
  for signal in INT QUIT TERM HUP; do trap "tell $signal" "$signal"; done
  [ -z "$deadline" ] || deadline=$((SECONDS + deadline))
  tell go
  while :; do
    hear "$status" && [[ $heard =~ ^exit\ ([0-9]+) ]] && { command_status=${BASH_REMATCH[1]}; break; }
    [ -z "$heard_end" ] || break
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

# await_up PID SECONDS FOLDER: waits until the inner half says "up". Our ends are open as $control and $status afterwards, also when it did not.
await_up() {
  local pid=$1 deadline=$((SECONDS + $2)) both
  exec {both}<>"$3/out"
  exec {control}<>"$3/in"
  while [ $SECONDS -lt "$deadline" ] && kill -0 "$pid" 2>/dev/null; do
    if hear "$both" && [ "$heard" = up ]; then
      # Now one that ends when the inner half does.
      exec {status}<"$3/out" {both}>&-
      return 0
    fi
  done
  status=$both
  return 1
}
