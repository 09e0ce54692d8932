# This machine's own kernel, in namespaces of our own: network, mounts and processes. What COMMAND leaves running ends with it.

private=(unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private)

# Whether this kernel does what we need. Else $native_obstacle says what is in the way.
native_works() {
  native_obstacle=
  [ "$(id -u)" = 0 ] || { native_obstacle="we are not root"; return 1; }
  # Loaded any other way, `dummy` puts a dummy0 into the machine's network.
  modprobe -q dummy numdummies=0 2>/dev/null || true
  modprobe -qa ipvlan macvlan 8021q veth bridge sch_ingress cls_bpf act_gact 2>/dev/null || true
  need_tools ip tc unshare setsid
  local said
  said=$(timeout 20 "${private[@]}" bash "$lib/native-probe.sh" 2>&1) && return 0
  said=${said%%$'\n'*}
  native_obstacle="this kernel ($(uname -r)) lacks something: ${said:-no answer within 20 s}"
  return 1
}

run_native() {
  need_tools ip tc ping strace perl
  local work pid control status hold
  work=$(mktemp -d); native_work=$work; trap 'rm -rf "$native_work"' EXIT
  make_pipes "$work"
  # A session of its own: a Ctrl-C then reaches COMMAND once, through us.
  setsid "${private[@]}" bash "$lib/native-init.sh" "$lib" "$work" "$@" <&0 &
  pid=$!
  await_up "$pid" 20 "$work" || { finish_group "$pid" 0; die "the private namespaces could not be set up"; }
  if [ -n "${BULKHEAD_FORWARD:-}" ]; then
    # Its standard input is a pipe from us: it ends when we do.
    exec {hold}> >(exec setsid perl "$lib/forward-native" "$pid" "$work/forwarding" $BULKHEAD_FORWARD {control}>&- {status}<&-)
    for ((i = 0; i < 100; i++)); do [ -s "$work/forwarding" ] && break; sleep 0.05; done
    [ "$(cat "$work/forwarding" 2>/dev/null)" = ok ] ||
      { finish_group "$pid" 0; die "no port forwarding: $(cat "$work/forwarding" 2>/dev/null)"; }
  fi
  attend "$pid" "$control" "$status"
  finish_group "$pid" 20
  [ -n "$command_status" ] || die "COMMAND's supervisor vanished"
  exit "$command_status"
}
