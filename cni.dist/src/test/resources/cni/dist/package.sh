# Installs, uses, upgrades and removes the Debian package in a clean Debian, as
#   unshare -m -n -p -f sh package.sh ROOT WORK PACKAGE NEWER
# ROOT is a tree that debootstrap made, which is not changed; WORK an empty directory; NEWER the same
# package with a higher version. PackageIT checks what this prints: a line "KEY: VALUE" for each fact.
set -eu
if [ "$1" != inside ]; then
  root=$1 work=$2
  mount --make-rprivate /
  mount -t tmpfs none "$work"
  mkdir "$work/upper" "$work/scratch" "$work/root"
  mount -t overlay none -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/scratch" "$work/root"
  cp "$3" "$work/root/tmp/cni.deb"
  cp "$4" "$work/root/tmp/newer.deb"
  cp "$0" "$work/root/tmp/package.sh"
  mount -t proc none "$work/root/proc"
  mount -t sysfs none "$work/root/sys"
  mount --rbind /dev "$work/root/dev"
  mount -t tmpfs none "$work/root/run"
  for groups in /sys/fs/cgroup; do mount --rbind "$groups" "$work/root$groups"; done
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
    chroot "$work/root" sh /tmp/package.sh inside
fi

# Everything that is on the disk but the package manager's own notes.
files() {
  find / -xdev \( -path /tmp -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache \
    -o -path /var/lib/systemd -o -path /var/lib/containerd \) -prune -o -print | sort
}

await() { # await CONDITION
  attempts=0
  until eval "$1"; do
    attempts=$((attempts + 1))
    [ $attempts -lt 100 ] || { echo "not within 10 s: $1"; exit 1; }
    sleep 0.1
  done
}

ip link set lo up
ip addr add 192.0.2.1/32 dev lo
ip -6 addr add 2001:db8::1/128 dev lo nodad
mkdir -p /run/netns
files >/tmp/before

dpkg -i /tmp/cni.deb >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
echo "installed: $(cni --version | head -1)"
echo "links: $(find /opt/cni/bin -type l | wc -l) $(readlink /opt/cni/bin/bridge)"
echo "java: $(command -v java || echo none)"
echo "manual: $(MANWIDTH=80 man cni-add | sed -n '/^NAME/{n;p}')"
echo "manuals: $(for page in /usr/share/man/man1/cni*; do man -l "$page" 2>&1 >/dev/null; done | wc -l) complaints"
echo "completion: $(bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader cni
  COMP_WORDS=(cni val); COMP_CWORD=1; COMP_LINE="cni val"; COMP_POINT=7; _cni; echo "${COMPREPLY[*]}"')"

cni init mynet >/dev/null
ip netns add blue
cni add mynet blue -p 8080:80 >/dev/null
mkdir /tmp/www
echo served >/tmp/www/index.html
ip netns exec blue busybox httpd -p '[::]:80' -h /tmp/www
get() { # get ADDRESS
  timeout 5 bash -c "exec 3<>/dev/tcp/$1/8080 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && tail -n 1 <&3"
}
ask() { # ask KEY
  echo "$1: $(get 192.0.2.1) $(get 2001:db8::1)"
}
ask published

# containerd finds the plugins where it looks by default.
mkdir -p /tmp/rootfs/bin /tmp/rootfs/proc /tmp/rootfs/sys /tmp/rootfs/dev /tmp/rootfs/etc /tmp/rootfs/tmp
cp "$(command -v busybox)" /tmp/rootfs/bin/busybox
ln -s busybox /tmp/rootfs/bin/sh
containerd --root /tmp/containerd --state /run/containerd --address /run/containerd.sock >/tmp/containerd.log 2>&1 &
daemon=$!
await 'ctr -a /run/containerd.sock version >/dev/null 2>&1'
gateway=$(cni list --json | sed -n 's/.*"gateway" *: *"\([0-9.]*\)".*/\1/p' | head -1)
echo "containerd: $(ctr -a /run/containerd.sock run --rm --cni --rootfs /tmp/rootfs one /bin/sh -c \
  "busybox ping -c1 -W5 $gateway >/dev/null && echo reached; busybox ip -o -4 addr show eth0 | busybox wc -l" | tr '\n' ' ')"
kill $daemon
wait $daemon || true

# An upgrade, while plugins are executed and a resident host serves them.
cni serve >/tmp/host.log 2>&1 &
host=$!
await '[ -S /run/cni/cni.sock ]'
ip netns add busy
# The configuration that a runtime hands to the first plugin of mynet.
cat >/tmp/request <<END
{ "cniVersion": "1.0.0", "name": "busynet", "type": "ptp",
  "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.222.0.0/24" }], [{ "subnet": "fd22::/64" }]] } }
END
call() {
  CNI_COMMAND=$1 CNI_CONTAINERID=busy CNI_NETNS=/run/netns/busy CNI_IFNAME=eth9 CNI_PATH=/opt/cni/bin \
    /opt/cni/bin/ptp </tmp/request >>/tmp/calls.log 2>&1
}
: >/tmp/calls
(
  while [ ! -e /tmp/enough ]; do
    call ADD && echo ok || echo failed
    call DEL && echo ok || echo failed
  done >>/tmp/calls
) &
caller=$!
await '[ "$(wc -l </tmp/calls)" -gt 10 ]'
dpkg -i /tmp/newer.deb >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
sleep 1
touch /tmp/enough
wait $caller
echo "calls: $(grep -c failed /tmp/calls || true) failed of $(grep -c . /tmp/calls | sed 's/^.$/few/; s/^..*/many/')"
grep failed /tmp/calls >/dev/null && cat /tmp/calls.log
kill $host
wait $host || true
echo "upgraded: $(dpkg-query -W -f '${Version}' cni-jvm | sed 's/.*+/+/')"
ask "upgraded with attachments"
echo "check: $(cni check mynet blue && echo as added)"

# Removed with an attachment: it goes on, and a warning says so.
dpkg -r cni-jvm >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
echo "warning: $(grep -c 'there are attachments' /tmp/log)"
ask removed
dpkg -i /tmp/newer.deb >/tmp/log 2>&1
cni del mynet blue
cni gc mynet >/dev/null
ip netns del blue
ip netns del busy
dpkg -P cni-jvm >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
files >/tmp/after
echo "left: $(diff /tmp/before /tmp/after | sed -n 's/^[<>] //p' | tr '\n' ' ')"
echo "links left: $(ip -o link show type veth | wc -l)"
