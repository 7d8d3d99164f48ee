// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.doctor.FilterCommand;
import cni.doctor.RemedyText;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Hook;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.util.Locale;
import java.util.Optional;

/**
 * What lets a packet through that a rule drops, by the program that made the rule.
 *
 * @param isTranslated whether the packet is to a published port
 */
record DropRemedy(Namespaces namespaces, PathQuery query, boolean isTranslated) {
  private static final String ADMIN_CHAIN = "CNI-ADMIN";

  /**
   * Returns what would let a packet through.
   *
   * @param drop where it was dropped
   * @param rules the rules that it met
   */
  String find(Sighting drop, MetRules rules) throws IOException {
    Chain chain = drop.event().chain();
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
    return ofOther(drop, rules);
  }

  /** What a CNI plugin has made to accept the packet may have been deleted. */
  private String ofOther(Sighting drop, MetRules rules) throws IOException {
    Optional<CachedAttachment> damaged = namespaces.damaged();
    if (damaged.isPresent()) {
      return Namespaces.repairCommand(damaged.get());
    }
    Chain chain = drop.event().chain();
    boolean isForwarded = !drop.hook().bridge() && drop.hook().number() == Hook.FORWARD;
    return isTranslated && isForwarded
        ? FilterCommand.acceptTranslated(
            chain, rules.lead(chain.table(), ADMIN_CHAIN) ? ADMIN_CHAIN : chain.name())
        : RemedyText.commented(
            FilterCommand.list(chain),
            "not a rule of a CNI plugin: accept the packet in that chain");
  }
}
