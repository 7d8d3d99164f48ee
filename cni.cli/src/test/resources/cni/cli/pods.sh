# Runs three pods through containerd's CRI. CriPodsIT checks what it prints.
# usage: see clients.sh, then DURING: commands for the time when an ADD of the second pod runs
#   PLUGINS (environment): a directory of executables to use instead of the image's
scripts=${0%/*}
. "$scripts/clients.sh"
. "$scripts/cri.sh"
during=${5-}
if [ -n "${PLUGINS-}" ]; then
  rm /opt/cni/bin/*
  ln -s "$PLUGINS"/* /opt/cni/bin
fi

# IPAM that a bridge's ADD waits for while /run/gate exists.
cat >/opt/cni/bin/gate <<'SCRIPT'
#!/bin/sh
if [ "$CNI_COMMAND" = ADD ] && [ -e /run/gate ]; then
  : >/run/gate-reached
  while [ -e /run/gate ]; do sleep 0.05; done
fi
exec /opt/cni/bin/host-local
SCRIPT
chmod 755 /opt/cni/bin/gate
ip address add 192.0.2.1/32 dev lo
ip address add 2001:db8::1/128 dev lo nodad
pod_network /run/net.d podnet pods0 10.208.0 fd08 gate
cri_start pods /opt/cni/bin /run/net.d

cri pods start 1
eval "$middle"
[ -z "$during" ] || : >/run/gate
cri pods start 2 &
second=$!
if [ -n "$during" ]; then
  await '[ -e /run/gate-reached ]'
  eval "$during"
  rm /run/gate
fi
wait $second
cri pods start 3

# The server accepts one connection at a time, and the address of IPv6 may be tentative at first.
reach() { # reach ADDRESS POD
  answer=
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    answer=$(echo | busybox nc -w 2 "$1" $((18000 + $2)) 2>/dev/null) || true
    [ -z "$answer" ] || break
    sleep 0.5
  done
  echo "pod $2 at $1: $answer"
}
for pod in 1 2 3; do
  reach 192.0.2.1 $pod
  reach 2001:db8::1 $pod
done
tc -j qdisc show | tr '{' '\n' | sed -n 's/.*"kind":"tbf".*/shaped/p'
tc -j qdisc show | tr '{' '\n' | sed -n 's/.*"rate":\([0-9]*\).*/rate \1/p'
echo "rules: $(nft list ruleset 2>/dev/null | grep -c '10\.208\.0\.')"

cri pods --concurrency 3 stop 1 2 3
host_report
left
echo "left rules: $(nft list ruleset 2>/dev/null | grep -c -e '10\.208\.0\.' -e 'fd08:')"
echo "left devices: $(ip -o link show type ifb)"
echo "left namespaces: $(ls /run/netns)"
