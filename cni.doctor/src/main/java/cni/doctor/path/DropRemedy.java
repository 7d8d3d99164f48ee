package cni.doctor.path;

import cni.doctor.FilterCommand;
import cni.netlink.ffm.nftables.Chain;
import java.util.Locale;

/** What lets a packet through that a rule drops, by the program that made the rule. */
final class DropRemedy {
  private DropRemedy() {}

  /** Returns what would let a packet through that a chain has dropped. */
  static String remedy(Chain chain, PathQuery query) {
    String table = chain.table().name();
    String name = chain.name();
    if (table.equals("cni_policy")) {
      return "plugin policy: cni policy explain -p %s %s %s:%d says what would allow it"
          .formatted(
              query.protocol().name().toLowerCase(Locale.ROOT),
              query.source().name(),
              query.destination().name(),
              query.port());
    }
    if (table.equals("cni_firewall")
        || name.startsWith("CNI-FORWARD")
        || name.startsWith("CNI-ISOLATION")) {
      return "plugin firewall: see \"ingressPolicy\" and the chain CNI-ADMIN";
    }
    if (table.equals("cni_hostport")
        || name.startsWith("CNI-HOSTPORT")
        || name.startsWith("CNI-DN-")) {
      return "plugin portmap: see \"portMappings\" and its conditions";
    }
    if (table.equals("firewalld")) {
      return "firewalld: see firewall-cmd --list-all-policies and the zone of the interface";
    }
    return "not a rule of a CNI plugin: accept the packet in that chain; \""
        + FilterCommand.list(chain)
        + "\" lists it";
  }
}
