# The rest of the guest's process 1: loads the modules, lays a writable tree over this machine's files, and starts COMMAND's supervisor there.
# Set before: busybox work lib tree version under share copy size.
b() { $busybox "$@"; }
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

b mount -t proc proc /proc
b mount -t sysfs sys /sys
b mountpoint -q /dev || b mount -t devtmpfs dev /dev
b ln -s /proc/self/fd /dev/fd
for n in 0/stdin 1/stdout 2/stderr; do b ln -s /proc/self/fd/${n%/*} /dev/${n#*/}; done
while read -r module; do
  options=
  case $module in */dummy.ko) options=numdummies=0 ;; esac
  b insmod "$module" $options || echo "init: $module did not load"
done < "$work/modules"

b mount -t tmpfs -o size=80% tmpfs /mnt
b mkdir /mnt/up /mnt/work /mnt/root /mnt/tools
lower=/
if [ -n "$tree" ]; then b mount -t hostfs -o "$tree" none /mnt/tools && lower=/mnt/tools:/; fi
R=/mnt/root
if ! b mount -t overlay -o lowerdir=$lower,upperdir=/mnt/up,workdir=/mnt/work overlay $R; then
  echo "init: no writable tree: the overlay did not mount"
  b poweroff -f
fi
b mkdir -p $R/dev $R/usr/lib/modules
for d in proc sys dev; do b mount --bind /$d $R/$d; done
b mkdir -p /dev/pts /dev/shm
b mount -t devpts devpts $R/dev/pts
for d in run tmp dev/shm; do b mount -t tmpfs -o mode=1777 tmpfs $R/$d; done
b mount -t cgroup2 cgroup2 $R/sys/fs/cgroup
b mkdir -p $R/run/netns $R/run/old $R/run/with-kernel
b cp "$work/command" "$lib/supervise" "$busybox" $R/run/with-kernel/
# More modules load by themselves where the tree has a modprobe.
[ -e $R/usr/lib/modules/$version ] || b ln -s ../uml/modules/$version $R/usr/lib/modules/$version
if [ -n "$under" ]; then
  b mkdir -p /mnt/under /mnt/under-up /mnt/under-work "$R$under"
  b mount -t hostfs -o "$under" none /mnt/under
  b mount -t overlay -o lowerdir=/mnt/under,upperdir=/mnt/under-up,workdir=/mnt/under-work overlay "$R$under"
fi
if [ -n "$share" ]; then
  b mkdir -p "$R$share"
  b mount -t hostfs -o "$share" none "$R$share" || { echo "init: $share did not mount"; b poweroff -f; }
fi

b ip link set lo up
if [ -e /sys/class/net/vec0 ]; then
  # No default route: the way out leads to the forwarded ports and no further.
  b ip link set vec0 name outside
  b ip addr add 10.0.2.100/24 dev outside
  b ip link set outside up
fi
for line in ttyS0 tty1 tty2; do b stty -F /dev/$line raw -echo; done
[ -z "$size" ] || b stty -F /dev/tty1 rows ${size% *} cols ${size#* }

# A real root, not a chroot: what enters another mount namespace must land in this tree.
cd $R
b pivot_root . run/old
busybox=/run/with-kernel/${busybox##*/}
b chroot . /bin/sh -c '/run/with-kernel/busybox umount -l /run/old
  exec perl /run/with-kernel/supervise /dev/ttyS0 /dev/ttyS0 "$0" bash /run/with-kernel/command' $copy </dev/null >/dev/tty1 2>/dev/tty2
b poweroff -f
