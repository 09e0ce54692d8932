# Sourced by tests that need a live service: the demo's daemon, on a kernel with ipvlan, reachable from this machine.

# start_demo PORT FOLDER [ARGUMENT…]   Starts it and waits until it is live, with further arguments for its daemon. Sets $token. Ends it when the script
# ends; what it says goes to a file in FOLDER.
demos=()
# A command to run it under, on its kernel.
demo_under=()
start_demo() {
  local port=$1 folder=$2 log pid tenths; shift 2
  mkdir -p "$folder"
  log=$(mktemp "$folder/demo.XXXXXX")
  BULKHEAD_FORWARD="$port:$port" scripts/with-kernel "${demo_under[@]}" target/debug/bulkhead demo --port "$port" ${1:+-- "$@"} >"$log" 2>&1 &
  pid=$!
  demos+=("$pid:$log")
  trap end_demos EXIT
  for ((tenths = 0; tenths < 3000; tenths++)); do
    grep -q 'The service is live' "$log" && break
    kill -0 $pid 2>/dev/null || { cat "$log" >&2; die "the demo ended early"; }
    sleep 0.1
  done
  token=$(sed -n 's/^ *token  *\([0-9a-f]\{64\}\)$/\1/p' "$log")
  [ -n "$token" ] || { cat "$log" >&2; die "the demo did not come up"; }
}

end_demos() {
  local demo
  for demo in "${demos[@]}"; do kill "${demo%%:*}" 2>/dev/null || true; done
  for demo in "${demos[@]}"; do wait "${demo%%:*}" 2>/dev/null || true; rm -f "${demo#*:}"; done
}

# A port of this machine on which nobody listens, from FROM on.
free_port() {
  local port
  for ((port = $1; port < $1 + 20; port++)); do (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null || break; done
  echo "$port"
}
