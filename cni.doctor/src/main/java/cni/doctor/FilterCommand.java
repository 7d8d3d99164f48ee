// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.TableFamily;
import java.util.Locale;
import java.util.Set;

/** Commands that show or change a chain of filter rules, by the program that manages the chain. */
public final class FilterCommand {
  private static final Set<String> TABLES = Set.of("filter", "nat", "mangle", "raw", "security");

  private FilterCommand() {}

  /**
   * Returns the command that accepts connections to published ports: those whose destination was
   * translated. Packets of both directions match.
   *
   * @param base the base chain that drops them
   * @param chain the name of the chain that gets the rule, as its first: the base chain, or one
   *     that it leads to
   */
  public static String acceptTranslated(Chain base, String chain) {
    return isOfIptables(base)
        ? "%s -I %s -m conntrack --ctstate DNAT -j ACCEPT".formatted(iptables(base), chain)
        : "nft insert rule %s ct status dnat accept".formatted(base.table().chain(chain));
  }

  /** Returns the command that lists the rules of a chain. */
  public static String list(Chain chain) {
    return isOfIptables(chain)
        ? "%s -t %s -S".formatted(iptables(chain), chain.table().name())
        : "nft -a list chain " + chain;
  }

  /** The chains of iptables have upper-case names, in tables of one family. */
  private static boolean isOfIptables(Chain chain) {
    boolean isOneFamily = chain.family() == TableFamily.IP || chain.family() == TableFamily.IP6;
    return isOneFamily
        && TABLES.contains(chain.table().name())
        && chain.name().equals(chain.name().toUpperCase(Locale.ROOT));
  }

  private static String iptables(Chain chain) {
    return chain.family() == TableFamily.IP ? "iptables" : "ip6tables";
  }
}
