/** The {@code cni} command. */
module cni.cli {
  requires cni.netlink.ffm;
  requires cni.runtime;
  requires info.picocli;

  opens cni.cli to
      info.picocli;
}
