# Makes a clean Debian of the release and from the archive of this machine: sh debian.sh DIRECTORY
set -eu
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
  'Component: main' | grep -v security | head -1)
log=$(mktemp)
debootstrap --variant=minbase \
  --include=iproute2,man-db,bash-completion,busybox-static,containerd,runc \
  "$release" "$1" "$archive" >"$log" 2>&1 || {
  cat "$log"
  exit 1
}
rm -f "$log" "$1"/var/cache/apt/archives/*.deb
