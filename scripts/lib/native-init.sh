# Process 1 of the private namespaces: makes /sys and /run/netns tell of them, not of the machine. Arguments: lib, pipes, COMMAND…
set -euo pipefail
lib=$1 pipes=$2
shift 2
mount -t sysfs sysfs /sys
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
ip link set lo up
exec perl "$lib/supervise" "$pipes/in" "$pipes/out" keep "$@"
