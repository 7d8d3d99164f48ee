scripts=${0%/*}
. "$scripts/clients.sh"
network cnet 1.0.0 10.206.0 fd06
containerd --root "$work/root" --state /run/containerd --address /run/containerd.sock >"$work/log" 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon || true' EXIT
ctr="ctr -a /run/containerd.sock"
await "$ctr version >/dev/null 2>&1"

$ctr run --rm --cni --rootfs "$work/rootfs" one /bin/sh -c "$server" &
run=$!
await "[ -e $state/results/cnet-default-one-eth0 ] && $ctr task ls | grep -q 'one.*RUNNING'"
eval "$middle"
$ctr run --rm --cni --rootfs "$work/rootfs" two /bin/sh -c "$(client 10.206.0.2 fd06::2)"
take_over cnet default-one ''
$ctr task kill -s 9 one
wait $run || true
host_report
sed 's/^/witnessed: /' /run/witnessed
left
