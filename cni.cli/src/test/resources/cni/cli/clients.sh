# Functions shared by podman.sh, containerd.sh and pods.sh, which run as
#   unshare -m -n -p -f --mount-proc sh SCRIPT IMAGE WORK [HOST [MIDDLE]]
# IMAGE is the jlink image, WORK an empty directory. HOST, unless empty, is the command of a
# resident host, started before the first container. MIDDLE is evaluated between the first and the
# second container; it may use the functions host_*. Tests check what the scripts print.
set -eu
image=$1
work=$2
middle=${4-}
cni="$image/bin/cni"
state=/var/lib/cni

# Private mounts: the scripts use the programs of the machine, but none of its state.
mount --make-rprivate /
mkdir -p "$work/etc" "$work/rootfs"
cp -a /etc/. "$work/etc"
mount --bind "$work/etc" /etc
for directory in /opt /var/lib /run; do mount -t tmpfs none "$directory"; done
ip link set lo up
mkdir -p /etc/cni/net.d /etc/containers /opt/cni/bin
rm -f /etc/cni/net.d/*
"$cni" install --dir /opt/cni/bin >/dev/null

# A native launcher starts cni-jvm for what no resident host does. Its callers are recorded.
starts=/run/image-starts
if [ -e "$image/bin/cni-jvm" ] && ! cmp -s "$image/bin/cni" "$image/bin/cni-jvm"; then
  sed "1a echo \"\$*\" >>$starts" "$image/bin/cni-jvm" >"$work/cni-jvm"
  chmod 755 "$work/cni-jvm"
  mount --bind "$work/cni-jvm" "$image/bin/cni-jvm"
  : >$starts
fi

# The last plugin of the chain is the example plugin; this wrapper also records DEL's input.
cp "$scripts/../../../../../../examples/plugins/journal" /opt/cni/bin/journal
cat >/opt/cni/bin/witness <<'END'
#!/bin/sh
[ "$CNI_COMMAND" = DEL ] || exec /opt/cni/bin/journal
cat >>/run/witnessed
echo >>/run/witnessed
END
chmod 755 /opt/cni/bin/witness

mkdir -p "$work/rootfs/bin" "$work/rootfs/proc" "$work/rootfs/sys" "$work/rootfs/dev" "$work/rootfs/tmp" \
  "$work/rootfs/etc"
cp "$(command -v busybox)" "$work/rootfs/bin/busybox"
ln -sf busybox "$work/rootfs/bin/sh"

network() { # network NAME VERSION PREFIX4 PREFIX6
  cat >/etc/cni/net.d/10-$1.conflist <<END
{ "cniVersion": "$2", "name": "$1", "plugins": [
  { "type": "loopback" },
  { "type": "bridge", "bridge": "clients0", "isDefaultGateway": true, "hairpinMode": true,
    "ipam": { "type": "host-local",
              "ranges": [[{ "subnet": "$3.0/24" }], [{ "subnet": "$4::/64" }]] } },
  { "type": "tuning", "mtu": 1400, "sysctl": { "net.core.somaxconn": "477" } },
  { "type": "witness", "file": "/run/journal" } ] }
END
}

# A TCP server, and a client that shows its interface and sysctl and connects to the server.
server='while :; do echo served | busybox nc -l -p 7; done'
client() { # client SERVER4 SERVER6
  echo "busybox ip link show eth0; busybox cat /proc/sys/net/core/somaxconn; busybox ping -c1 127.0.0.1;
    busybox ping -c1 $1; busybox ping6 -c1 $2; echo | busybox nc -w 5 $1 7"
}

# Checks an attachment that the client has cached, and replaces it by one that cni makes.
take_over() { # take_over NETWORK ID ARGS
  netns=$("$cni" list --network "$1" --container-id "$2" | awk 'NR == 2 { print $NF }')
  "$cni" check "$1" "$netns" --container-id "$2" --args "$3"
  echo "checked by us"
  "$cni" del "$1" "$netns" --container-id "$2" --args "$3"
  "$cni" add "$1" "$netns" --container-id "$2" --args "$3" >/dev/null
  "$cni" list --network "$1" | sed 's/^/kept by us: /'
  : >/run/witnessed
}

left() {
  echo "left: $(find $state/results $state/networks -type f ! -name lock ! -name 'last_reserved*')"
  echo "left: $(ip -o link show type veth)"
}

await() { # await CONDITION
  attempts=0
  until eval "$1"; do
    attempts=$((attempts + 1))
    [ $attempts -lt 100 ] || { echo "not within 10 s: $1"; cat "$work"/log "$work"/*/log; exit 1; }
    sleep 0.1
  done
}

# The resident host; its files are in this mount namespace's /run/cni.
host=
host_start() { # host_start COMMAND
  (eval "exec $1") >>"$work/host.log" 2>&1 &
  host=$!
  # A host that was killed leaves the file; only a host that runs listens.
  await 'ss -xlH src /run/cni/cni.sock | grep -q .'
}

host_stop() {
  kill "$host"
  wait "$host" || true
  host=
}

host_kill() {
  kill -9 "$host"
  wait "$host" || true
  host=
}

# Replaces the installed image by a copy, for the host as another image.
host_upgrade() {
  cp -a "$image" "$work/upgraded"
  image=$work/upgraded
  cni="$image/bin/cni"
  "$cni" install --force --dir /opt/cni/bin >/dev/null
}

host_report() {
  if [ -n "$host" ] && kill -0 "$host"; then
    echo "host: running"
  else
    echo "host: none"
  fi
  # A host does not serve these commands.
  [ ! -e $starts ] || echo "image starts: $(grep -vcE '^cni (install|list|serve)' $starts)"
}

[ -z "${3-}" ] || host_start "$3"
