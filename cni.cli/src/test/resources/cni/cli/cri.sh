# Functions that run pods through containerd's CRI with the client cri.py, for pods.sh and
# bench/pods. clients.sh comes first.

cri() { # cri NAME [--concurrency N] start|stop|list [NUMBER...]
  socket=/run/$1.sock
  shift
  # Debian's Python has Debian's packages, whatever PATH begins with.
  /usr/bin/python3 "$scripts/cri.py" --socket "$socket" "$@"
}

# Starts a containerd whose socket is /run/NAME.sock, and gives it the pause image.
cri_start() { # cri_start NAME PLUGINS CONFIGURATIONS
  mkdir -p "$work/$1"
  [ -e "$work/pause.tar" ] || pause_image "$work/pause.tar"
  # Without cgroups and oom_score_adj, which an unprivileged container cannot set.
  cat >"$work/$1/config.toml" <<TOML
version = 2
root = "$work/$1/root"
state = "/run/containerd-$1"
[grpc]
address = "/run/$1.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "local/pause:1"
disable_cgroup = true
disable_apparmor = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "$2"
conf_dir = "$3"
TOML
  containerd --config "$work/$1/config.toml" >"$work/$1/log" 2>&1 &
  cri "$1" list >/dev/null || { cat "$work/$1/log"; exit 1; }
  images="ctr -a /run/$1.sock -n k8s.io images"
  $images import --snapshotter native "$work/pause.tar" >/dev/null
  # The CRI plugin receives an event for the image, and labels it.
  await "$images ls | grep -q io.cri-containerd.image=managed"
}

# Writes the configuration of a dual-stack network with all that containerd passes to plugins.
pod_network() { # pod_network DIRECTORY NAME BRIDGE PREFIX4 PREFIX6 [IPAM]
  mkdir -p "$1"
  cat >"$1/10-$2.conflist" <<JSON
{ "cniVersion": "1.0.0", "name": "$2", "plugins": [
  { "type": "bridge", "bridge": "$3", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
    "ipam": { "type": "${6:-host-local}",
              "ranges": [[{ "subnet": "$4.0/24" }], [{ "subnet": "$5::/64" }]] } },
  { "type": "portmap", "capabilities": { "portMappings": true } },
  { "type": "firewall" },
  { "type": "bandwidth", "capabilities": { "bandwidth": true } },
  { "type": "tuning", "mtu": 1400, "sysctl": { "net.core.somaxconn": "477" } } ] }
JSON
}

# Writes an OCI image archive: busybox, and a script that serves TCP port 7.
pause_image() { # pause_image ARCHIVE
  layout=$work/pause
  blobs=$layout/blobs/sha256
  mkdir -p "$blobs" "$layout/rootfs/bin"
  cp "$work/rootfs/bin/busybox" "$layout/rootfs/bin"
  ln -s busybox "$layout/rootfs/bin/sh"
  printf '#!/bin/sh\n%s\n' "$server" >"$layout/rootfs/pause"
  chmod 755 "$layout/rootfs/pause"
  tar -C "$layout/rootfs" --owner 0 --group 0 -cf "$layout/layer" .
  layer=$(descriptor "$layout/layer" application/vnd.oci.image.layer.v1.tar)
  case $(uname -m) in aarch64) architecture=arm64 ;; *) architecture=amd64 ;; esac
  cat >"$layout/config" <<JSON
{ "architecture": "$architecture", "os": "linux", "config": { "Entrypoint": ["/pause"] },
  "rootfs": { "type": "layers", "diff_ids": ["$(digest "$layout/layer")"] } }
JSON
  config=$(descriptor "$layout/config" application/vnd.oci.image.config.v1+json)
  manifest_type=application/vnd.oci.image.manifest.v1+json
  cat >"$layout/manifest" <<JSON
{ "schemaVersion": 2, "mediaType": "$manifest_type",
  "config": { $config }, "layers": [{ $layer }] }
JSON
  manifest=$(descriptor "$layout/manifest" $manifest_type)
  cat >"$layout/index.json" <<JSON
{ "schemaVersion": 2, "manifests": [{ $manifest,
  "annotations": { "io.containerd.image.name": "docker.io/local/pause:1" } }] }
JSON
  echo '{ "imageLayoutVersion": "1.0.0" }' >"$layout/oci-layout"
  tar -C "$layout" -cf "$1" oci-layout index.json blobs
}

digest() { # digest FILE
  echo "sha256:$(sha256sum "$1" | cut -d ' ' -f 1)"
}

# Copies a file to the layout's blobs and prints the members of its descriptor.
descriptor() { # descriptor FILE TYPE
  name=$(digest "$1")
  cp "$1" "$blobs/${name#sha256:}"
  echo "\"mediaType\": \"$2\", \"digest\": \"$name\", \"size\": $(stat -c %s "$1")"
}
