scripts=${0%/*}
. "$scripts/clients.sh"
network pnet 0.4.0 10.205.0 fd05
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
cat >/run/containers.conf <<'END'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
network_config_dir = "/etc/cni/net.d"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
END
export CONTAINERS_CONF=/run/containers.conf
podman="podman --root $work/root --runroot /run/runroot --storage-driver vfs"

id=$($podman run -d --name one --network pnet --rootfs "$work/rootfs" /bin/sh -c "$server")
eval "$middle"
$podman run --rm --network pnet --rootfs "$work/rootfs" /bin/sh -c "$(client 10.205.0.2 fd05::2)"
take_over pnet "$id" 'IgnoreUnknown=1;K8S_POD_NAME=one'
$podman rm -f -t 0 one

# A network created by Podman: bridge (ipMasq, hairpinMode), portmap, firewall, tuning.
$podman network create --subnet 10.207.0.0/24 made >/dev/null
$podman run -d --name two --network made -p 8081:7 --rootfs "$work/rootfs" /bin/sh -c "$server"
for i in 1 2 3 4 5; do
  answer=$(echo | busybox nc -w 2 127.0.0.1 8081) && break
  sleep 1
done
echo "published: $answer"
$podman rm -f -t 0 two
host_report
echo "left rules: $(nft list ruleset | grep -c '10\.207\.0\.') "
sed 's/^/witnessed: /' /run/witnessed
left
