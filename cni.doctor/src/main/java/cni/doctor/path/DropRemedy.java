package cni.doctor.path;

import cni.doctor.FilterCommand;
import cni.doctor.RemedyText;
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
      return RemedyText.commented(
          "cni policy explain -p %s %s %s:%d"
              .formatted(
                  query.protocol().name().toLowerCase(Locale.ROOT),
                  query.source().name(),
                  query.destination().name(),
                  query.port()),
          "plugin policy: says what would allow it");
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
    return RemedyText.commented(
        FilterCommand.list(chain), "not a rule of a CNI plugin: accept the packet in that chain");
  }
}
