# Boots systemd as process 1 of namespaces of its own, over this machine's file system; runs as
#   unshare -m sh systemd.sh WORK GROUP
# in the network namespace that is to be the machine's. WORK is an empty directory, GROUP the name
# of a control group that does not exist yet. The machine has no units but those of WORK/units, and
# /dev, /run, /opt, /var/lib and /etc/systemd of its own. WORK/pid1.log is systemd's log, WORK/journal
# that of services, WORK/pid its process id on this machine. "sh systemd.sh --remove WORK GROUP" removes the control group after
# the end of all processes.
set -eu

group_mount() { # group_mount WORK
  mount --make-rprivate /
  mkdir -p "$1/groups"
  mount -t cgroup2 none "$1/groups"
}

if [ "$1" = --remove ]; then
  group_mount "$2"
  attempts=0
  until find "$2/groups/$3" -depth -type d -exec rmdir {} +; do
    attempts=$((attempts + 1))
    [ $attempts -lt 50 ] || exit 1
    sleep 0.1
  done
  rm -rf /tmp/systemd-private-*-cni.service-* # a killed systemd leaves those of PrivateTmp=
  exit
fi

if [ $$ -ne 1 ]; then
  group_mount "$1"
  mkdir "$1/groups/$2"
  echo 0 >"$1/groups/$2/cgroup.procs"
  mkdir "$1/proc"
  mount --bind /proc "$1/proc"
  exec unshare -m -u -i -C -p -f --kill-child --mount-proc sh "$0" "$@"
fi
work=$1
read -r pid _ <"$work/proc/self/stat"
umount "$work/groups" "$work/proc"

# systemd creates files in /dev and /run, and sets sysctls.
mkdir "$work/dev" "$work/units"
mount -t tmpfs none "$work/dev"
mkdir "$work/dev/net" "$work/dev/shm" "$work/dev/pts"
for device in null zero full random urandom tty net/tun; do
  [ -e /dev/$device ] || continue
  : >"$work/dev/$device"
  mount --bind "/dev/$device" "$work/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=666 none "$work/dev/pts"
ln -s pts/ptmx "$work/dev/ptmx"
ln -s /proc/self/fd "$work/dev/fd"
: >"$work/dev/console"
mount --rbind "$work/dev" /dev
mount -t sysfs none /sys
mount -t cgroup2 none /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro /proc/sys

for directory in /run /opt /var/lib /etc/systemd /usr/lib/systemd/system-generators; do
  mount -t tmpfs -o mode=755 none "$directory"
done
mkdir -p /run/netns /etc/systemd/system/service.d

for target in sysinit basic sockets multi-user shutdown umount final exit; do
  printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' $target >"$work/units/$target.target"
done
printf '[Unit]\nDescription=test\nAllowIsolate=yes\nWants=sockets.target\n' >"$work/units/test.target"
mount --bind "$work/units" /usr/lib/systemd/system
printf '[Service]\nStandardOutput=append:%s\nStandardError=append:%s\n' "$work/journal" "$work/journal" \
  >/etc/systemd/system/service.d/journal.conf
echo "$pid" >"$work/pid"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test /usr/lib/systemd/systemd \
  --unit=test.target --log-target=console --show-status=false </dev/null >"$work/pid1.log" 2>&1
