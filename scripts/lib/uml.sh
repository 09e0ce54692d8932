# User-mode Linux: a kernel that is an ordinary process.

# Those that must be there before anything autoloads, and `dummy` because it would otherwise bring a dummy0.
uml_modules=(overlay dummy ipvlan macvlan 8021q veth bridge sch_ingress cls_bpf act_gact)

run_uml() {
  local tools=(linux.uml busybox perl setsid ip tc ping strace modprobe)
  [ -z "${BULKHEAD_FORWARD:-}" ] || tools+=(slirp4netns)
  need_tools "${tools[@]}"
  local linux modules version tree=
  linux=$(find_tool linux.uml)
  modules=$(modules_of "$linux")
  version=${modules##*/}
  [ ! -d "$cache/root/usr" ] || tree=$cache/root
  say "user-mode Linux $version, $uml_why"

  local work attempt
  work=$(mktemp -d /tmp/with-kernel.XXXXXX)
  uml_work=$work; trap uml_clean EXIT
  module_files > "$work/modules"
  write_command "$@"
  write_init
  for attempt in 1 2 3; do
    uml_attempt || continue
    exit "$command_status"
  done
  die "three boots hung; giving up"
}

uml_clean() {
  [ -z "${uml_pid:-}" ] || kill -KILL -- "-$uml_pid" 2>/dev/null || true
  [ -z "${slirp_pid:-}" ] || kill "$slirp_pid" 2>/dev/null || true
  rm -rf "$uml_work"
}

# The files to insert, in order: modules.dep lists what a module needs, the deepest last.
module_files() {
  awk -v root="$modules/" -v want="${uml_modules[*]}" '
    { name = $1; sub(/.*\//, "", name); sub(/\.ko.*/, "", name); path = $1; sub(/:$/, "", path); line[name] = path; for (i = 2; i <= NF; i++) line[name] = $i " " line[name] }
    END { n = split(want, names, " ")
      for (i = 1; i <= n; i++) { m = split(line[names[i]], files, " "); for (j = 1; j <= m; j++) if (!seen[files[j]]++) print root files[j] } }' "$modules/modules.dep"
}

# COMMAND with its folder and environment, as a script.
write_command() {
  local name
  {
    printf 'cd %q || exit 125\n' "$PWD"
    for name in PATH HOME TERM USER LANG NO_COLOR ${!RUST_*} ${!BULKHEAD_*} ${BULKHEAD_ENV:-}; do
      [ -z "${!name+set}" ] || printf 'export %s=%q\n' "$name" "${!name}"
    done
    printf 'exec'; printf ' %q' "$@"; echo
  } > "$work/command"
}

# Process 1 of the guest: what it needs to know, then uml-init.sh. Busybox, as it is one file that needs no other.
write_init() {
  local busybox under= copy=copy size=
  busybox=$(find_tool busybox)
  # What a fresh /tmp, /run or /dev/shm would hide, and COMMAND may be in.
  case $PWD/ in /tmp/* | /run/* | /dev/shm/*) under=$PWD ;; esac
  if [ -t 1 ] && [ -t 2 ]; then copy=keep size=$(stty size <&1 2>/dev/null || true); fi
  {
    echo "#!$busybox sh"
    printf '%s=%q\n' busybox "$busybox" work "$work" lib "$lib" tree "$tree" version "$version" under "$under" share "${BULKHEAD_SHARE:-}" copy "$copy" size "$size"
    cat "$lib/uml-init.sh"
  } > "$work/init"
  chmod +x "$work/init"
}

# Where the guest's memory is kept: a file that must be mappable as code, and should not be on a disk.
memory_folder() {
  local free
  if awk '$2 == "/dev/shm" && $3 == "tmpfs" && $4 !~ /noexec/ { found = 1 } END { exit !found }' /proc/self/mounts && [ -w /dev/shm ]; then
    free=$(df -Pm /dev/shm | awk 'NR == 2 { print $4 }')
    [ "${free:-0}" -lt "$memory" ] || { echo /dev/shm; return; }
  fi
  echo "$work"
}

# The kernel and the processes of its guest take turns through ptrace, and that is five times as fast where nobody has to be woken
# on another CPU: 16 us a system call instead of 80. Which CPU: any of ours, another for every run.
one_cpu() {
  local allowed part from to list=()
  allowed=$(taskset -cp $$ 2>/dev/null) || return 0
  for part in $(echo "${allowed##*: }" | tr , ' '); do
    from=${part%-*} to=${part#*-}
    while [ "$from" -le "$to" ]; do list+=("$from"); from=$((from + 1)); done
  done
  [ ${#list[@]} -eq 0 ] || echo "taskset -c ${list[$(($$ % ${#list[@]}))]}"
}

# One boot. Fails only when the guest never reported: COMMAND has then not been started.
uml_attempt() {
  local memory=${BULKHEAD_MEM:-2048} net=() pid control status reader1 reader2 reader3 said
  make_pipes "$work"
  rm -rf "$work/uml" "$work"/{stdout,stderr,kernel}
  mkfifo "$work"/{stdout,stderr,kernel}
  # Not our own descriptors: the kernel would make them non-blocking for everyone who shares them, and cannot wait on plain files.
  cat "$work/stdout" & reader1=$!
  cat "$work/stderr" >&2 & reader2=$!
  cat "$work/kernel" > "$work/kernel.log" & reader3=$!
  [ -z "${BULKHEAD_FORWARD:-}" ] || start_slirp
  TMPDIR=$(memory_folder) setsid $(one_cpu) "$linux" umid=k uml_dir="$work/uml" mem="${memory}M" root=/dev/root rootfstype=hostfs rootflags=/ ro init="$work/init" \
    con=null con0=null,fd:3 con1=null,fd:4 con2=null,fd:5 ssl=null ssl0=fd:6,fd:7 "${net[@]}" \
    </dev/null >"$work/linux.log" 2>&1 3>"$work/kernel" 4>"$work/stdout" 5>"$work/stderr" 6<"$work/in" 7>"$work/out" &
  pid=$!; uml_pid=$pid
  disown "$pid"   # its end is ours to tell, not bash's
  if ! await_up "$pid" "${BULKHEAD_BOOT_SECONDS:-30}" "$work"; then
    uml_hung
    return 1
  fi
  if [ -n "${BULKHEAD_FORWARD:-}" ]; then
    said=$(perl "$lib/forward-uml" "$work/api.sock" $BULKHEAD_FORWARD 2>&1) || die "no port forwarding: $said"
  fi
  attend "$pid" "$control" "$status" "$reader1"
  finish_group "$pid" 50
  uml_pid=
  wait "$reader1" "$reader2" "$reader3" 2>/dev/null || true
  [ -n "$command_status" ] && return
  say "the user-mode kernel ended before COMMAND did; its last words:"
  tail -n 20 "$work/kernel.log" "$work/linux.log" >&2
  exit 125
}

# A boot that did not get as far as COMMAND: says so, keeps what there is to learn from. A kernel that ended by itself is no hang, and final.
uml_hung() {
  local kept hung=1 process file
  kill -0 "$pid" 2>/dev/null || hung=
  kept=$cache/boots/$(date +%Y%m%d-%H%M%S)-$$
  mkdir -p "$kept" 2>/dev/null || { kept=$(mktemp -d /tmp/with-kernel-boot.XXXXXX); }
  for process in $(ps -o pid= -s "$pid" 2>/dev/null || echo "$pid"); do
    for file in status wchan syscall stack; do
      { echo "== $process $file"; cat "/proc/$process/$file"; echo; } >> "$kept/processes" 2>/dev/null || true
    done
    ls -l "/proc/$process/fd" >> "$kept/processes" 2>/dev/null || true
  done
  [ -z "$hung" ] || { perl "$lib/uml-ask" "$work/uml/k/mconsole" 'sysrq t' > "$kept/tasks" 2>&1 && sleep 1; } || true
  { printf 'heard in part: %q\nunread: ' "$half_heard"; timeout 1 cat <&"$status"; } > "$kept/heard" 2>&1 || true
  half_heard=
  exec {control}>&- {status}>&-
  finish_group "$pid" 0
  uml_pid=
  [ -z "${slirp_pid:-}" ] || { kill "$slirp_pid" 2>/dev/null; slirp_pid=; }
  wait "$reader1" "$reader2" "$reader3" 2>/dev/null || true
  cp "$work"/{kernel.log,linux.log,init,modules,command} "$kept/" 2>/dev/null || true
  if [ -z "$hung" ]; then
    say "the user-mode kernel did not come up; its last words (all of them in $kept):"
    tail -n 20 "$work/linux.log" "$work/kernel.log" >&2
    exit 125
  fi
  say "BOOT HUNG: attempt $attempt did not report within ${BULKHEAD_BOOT_SECONDS:-30} s; what it had to say is in $kept"
}

# A network card of the guest that leads to its forwarded ports.
start_slirp() {
  local i said
  rm -f "$work"/{bess,api}.sock
  LD_LIBRARY_PATH=$(echo "$cache"/root/usr/lib/*-linux-gnu):${LD_LIBRARY_PATH:-} setsid "$(find_tool slirp4netns)" --target-type=bess --disable-host-loopback \
    --disable-dns --api-socket "$work/api.sock" "$work/bess.sock" >"$work/slirp.log" 2>&1 </dev/null &
  slirp_pid=$!
  for ((i = 0; i < 100; i++)); do [ -S "$work/bess.sock" ] && break; sleep 0.05; done
  [ -S "$work/bess.sock" ] || { cat "$work/slirp.log" >&2; die "slirp4netns did not start"; }
  net=("vec0:transport=bess,dst=$work/bess.sock,depth=128")
}
