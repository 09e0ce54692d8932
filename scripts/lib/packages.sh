# Finds the programs we need; gets those that are missing: as root by installing their packages, otherwise by unpacking
# them under $cache/root, which the user-mode kernel lays over this machine's files, so that they stand where they belong.

declare -A package_of=([linux.uml]=user-mode-linux [busybox]=busybox-static [slirp4netns]=slirp4netns [ip]=iproute2 [tc]=iproute2
  [ping]=iputils-ping [strace]=strace [modprobe]=kmod [perl]=perl-base [unshare]=util-linux [setsid]=util-linux)

# Prints the path of a program, of this machine or of the cache. A kernel counts with its modules only.
find_tool() {
  local at
  for at in "$(type -P "$1")" "$cache"/root/usr/{bin,sbin}/"$1"; do
    # A link of the cache may lead to where it will lie in the guest only.
    [ -n "$at" ] && { [ -x "$at" ] || [[ -L $at && $at = "$cache"/* ]]; } || continue
    [ "$1" != linux.uml ] || [ -n "$(modules_of "$at")" ] || continue
    echo "$at"
    return
  done
  return 1
}

# The folder of a user-mode kernel's modules, the newest where there are several: PREFIX/bin/linux.uml has PREFIX/lib/uml/modules/VERSION.
modules_of() {
  find "$(dirname "$(dirname "$1")")/lib/uml/modules" -mindepth 1 -maxdepth 1 2>/dev/null | sort -V | tail -n 1 || true
}

need_tools() {
  local tool packages=()
  for tool; do
    find_tool "$tool" >/dev/null || packages+=("${package_of[$tool]}")
  done
  [ ${#packages[@]} -gt 0 ] || return 0
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
  command -v apt-get >/dev/null ||
    die "missing: ${packages[*]} (names of Debian's packages), and this machine has no apt-get: install them by its own means"
  if [ "$(id -u)" = 0 ]; then install_packages "${packages[@]}"; else unpack_packages "${packages[@]}"; fi
  for tool; do
    find_tool "$tool" >/dev/null || die "$tool is still missing after getting ${package_of[$tool]}"
  done
}

install_packages() {
  say "installing $*"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install)
  # Lists may be absent or old: then the first try fails in a moment.
  "${apt[@]}" "$@" >/dev/null 2>&1 || { apt-get -qq update >&2 && "${apt[@]}" "$@" >&2; } || die "apt-get could not install $*"
}

unpack_packages() {
  need_cache
  exec 9>"$cache/lock"
  flock 9
  say "not root, so unpacking $* into $cache"
  local apt=() work names
  # Lists of our own where the machine's are absent: apt keeps them wherever it is told to.
  if ! apt-get --print-uris download "$@" >/dev/null 2>&1; then
    mkdir -p "$cache"/apt/{lists/partial,archives/partial}
    apt=(-o "Dir::State::Lists=$cache/apt/lists" -o "Dir::Cache=$cache/apt")
    apt-get "${apt[@]}" -qq update >&2 || die "apt-get could not fetch the package lists"
  fi
  # What a real install would bring along, and the wanted ones in any case: dpkg may think them installed.
  names=$({ printf '%s\n' "$@"; apt-get "${apt[@]}" -s --no-install-recommends install "$@" 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p'; } | sort -u)
  work=$(mktemp -d "$cache/unpack.XXXXXX")
  # shellcheck disable=SC2086 — names are words
  (cd "$work" && apt-get "${apt[@]}" -qq download $names >&2) || { rm -rf "$work"; die "apt-get could not download" $names; }
  local deb dir
  for deb in "$work"/*.deb; do dpkg -x "$deb" "$work/root" || die "dpkg could not unpack ${deb##*/}"; done
  # Laid over a merged-/usr machine, a real /bin would hide the link: all goes below /usr.
  for dir in bin sbin lib lib64; do
    [ -d "$work/root/$dir" ] && [ ! -L "$work/root/$dir" ] || continue
    mkdir -p "$work/root/usr/$dir" && cp -a "$work/root/$dir/." "$work/root/usr/$dir/" && rm -r "${work:?}/root/$dir"
  done
  mkdir -p "$cache/root" && cp -a "$work/root/." "$cache/root/" || die "cannot fill $cache/root"
  rm -rf "$work"
  exec 9>&-
}
