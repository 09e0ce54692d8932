# Sourced by the scripts beside this folder.

cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/bulkhead

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
# 125: what we ourselves could not do, as env, timeout and chroot have it; COMMAND's own statuses stay apart from it.
die() { say "$*"; exit 125; }

need_cache() {
  mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] ||
    die "the cache folder $cache cannot be written; set XDG_CACHE_HOME to one that can"
}

# Every fault of the environment at once, before anything starts.
check_settings() {
  local faults=() name pair
  case ${BULKHEAD_KERNEL:-} in "" | native | uml) ;; *) faults+=("BULKHEAD_KERNEL is '$BULKHEAD_KERNEL', not native or uml") ;; esac
  for name in BULKHEAD_TIMEOUT BULKHEAD_MEM BULKHEAD_BOOT_SECONDS; do
    [[ ${!name-1} =~ ^[1-9][0-9]{0,6}$ ]] || faults+=("$name is '${!name}', not a positive whole number")
  done
  [[ ${BULKHEAD_MEM-2048} -ge 128 ]] 2>/dev/null || faults+=("BULKHEAD_MEM is '${BULKHEAD_MEM-}', and 128 MiB is the least")
  if [ -n "${BULKHEAD_SHARE:-}" ]; then
    [[ $BULKHEAD_SHARE = /* ]] || faults+=("BULKHEAD_SHARE is '$BULKHEAD_SHARE', not an absolute path")
    [[ $BULKHEAD_SHARE != *,* ]] || faults+=("BULKHEAD_SHARE has a comma in it, which a mount option cannot carry")
    [ -d "$BULKHEAD_SHARE" ] && [ -w "$BULKHEAD_SHARE" ] || faults+=("BULKHEAD_SHARE is '$BULKHEAD_SHARE', not a directory that we may write")
  fi
  for pair in ${BULKHEAD_FORWARD:-}; do
    [[ $pair =~ ^([1-9][0-9]{0,4}):([1-9][0-9]{0,4})$ ]] && [ "${BASH_REMATCH[1]}" -le 65535 ] && [ "${BASH_REMATCH[2]}" -le 65535 ] ||
      faults+=("BULKHEAD_FORWARD has '$pair', not two ports as in 8080:80")
  done
  [ ${#faults[@]} -eq 0 ] || { printf "${0##*/}: %s\n" "${faults[@]}" >&2; exit 125; }
}
