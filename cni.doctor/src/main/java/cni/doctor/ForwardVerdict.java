package cni.doctor;

import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.Expression;
import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Meta;
import cni.netlink.ffm.nftables.Expression.Payload;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledChain;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.route.IpFamily;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * Whether a base chain drops forwarded packets unless a rule accepts them, and whether its table
 * has a rule that may accept those of an address. A rule that is not understood, such as one with a
 * set, counts as one that may accept them, so that no finding is reported in doubt.
 *
 * @param chain the chain
 * @param rules the rules of its table
 */
record ForwardVerdict(InstalledChain chain, List<InstalledRule> rules) {
  /** Tables of this project and of the reference plugins: what they drop is meant to be dropped. */
  private static final String OWN_TABLES = "cni_";

  static ForwardVerdict of(InstalledChain chain, HostKernel kernel) throws IOException {
    return new ForwardVerdict(chain, kernel.rules(chain.chain().table()));
  }

  /** Returns whether a chain filters forwarded packets and is in a table of another program. */
  static boolean filtersForwarded(InstalledChain chain) {
    Set<TableFamily> families = Set.of(TableFamily.INET, TableFamily.IP, TableFamily.IP6);
    return chain
            .hook()
            .filter(hook -> hook.point() == Hook.FORWARD && hook.type().equals("filter"))
            .isPresent()
        && families.contains(chain.chain().family())
        && !chain.chain().table().name().startsWith(OWN_TABLES);
  }

  /** Returns whether the chain sees the packets of a family. */
  boolean covers(IpFamily family) {
    TableFamily own = chain.chain().family();
    return own == TableFamily.INET || own == TableFamily.of(family);
  }

  /** Returns whether packets that no rule accepts are dropped. */
  boolean dropsByDefault() {
    if (chain.dropsByDefault()) {
      return true;
    }
    List<InstalledRule> own =
        rules.stream().filter(it -> it.chain().equals(chain.chain())).toList();
    return !own.isEmpty() && dropsAll(own.getLast().rule());
  }

  private static boolean dropsAll(Rule rule) {
    List<Expression> effective =
        rule.expressions().stream().filter(it -> !(it instanceof Expression.Counter)).toList();
    return effective.size() == 1
        && (effective.getFirst().equals(Verdict.DROP)
            || effective.getFirst() instanceof Expression.Reject);
  }

  /** Returns how nft shows what drops. */
  String evidence() {
    return "nft list chain %s: %s"
        .formatted(
            chain.chain(), chain.dropsByDefault() ? "policy drop" : "its last rule drops the rest");
  }

  /**
   * Returns whether a rule may accept new connections from or to an address.
   *
   * @param links the names of the host's links that its packets pass
   */
  boolean mayAccept(InetAddress address, List<String> links) {
    return rules.stream()
        .map(InstalledRule::rule)
        .filter(rule -> rule.verdict().filter(Verdict.ACCEPT::equals).isPresent())
        .anyMatch(rule -> mayMatch(rule.expressions(), address, links));
  }

  private static boolean mayMatch(
      List<Expression> expressions, InetAddress address, List<String> links) {
    boolean anyState = true;
    boolean matches = false;
    boolean restricted = false;
    for (int i = 0; i < expressions.size(); i++) {
      switch (expressions.get(i)) {
        case Expression.Connection(int key, int _) when key == Expression.Connection.STATE ->
            anyState = false;
        case Expression.Lookup _, Expression.Unparsed _, Expression.XtMatch _ -> matches = true;
        case Payload payload when payload.base() == Payload.NETWORK_HEADER -> {
          restricted = true;
          matches |=
              comparesAddress(payload, expressions.subList(i + 1, expressions.size()), address);
        }
        case Meta meta when meta.key() == Meta.INPUT_NAME || meta.key() == Meta.OUTPUT_NAME -> {
          restricted = true;
          matches |= comparesName(expressions.subList(i + 1, expressions.size()), links);
        }
        default -> {}
      }
    }
    return matches || (anyState && !restricted);
  }

  /** Reads what follows a payload: a mask unless the prefix is one of whole bytes, and a value. */
  private static boolean comparesAddress(
      Payload payload, List<Expression> next, InetAddress address) {
    boolean v4 = InetAddresses.isV4(address);
    boolean isAddress =
        v4
            ? payload.offset() == 12 || payload.offset() == 16
            : payload.offset() == 8 || payload.offset() == 24;
    if (!isAddress || next.isEmpty()) {
      return false;
    }
    byte[] bytes = Arrays.copyOf(address.getAddress(), payload.length());
    int at = 0;
    if (next.getFirst() instanceof Expression.Bitwise mask) {
      byte[] bits = mask.mask().toArray();
      for (int i = 0; i < bytes.length && i < bits.length; i++) {
        bytes[i] &= bits[i];
      }
      at = 1;
    }
    return at < next.size()
        && next.get(at) instanceof Compare compare
        && (compare.operator() == Compare.EQUAL) == Arrays.equals(compare.data().toArray(), bytes);
  }

  private static boolean comparesName(List<Expression> next, List<String> links) {
    if (next.isEmpty() || !(next.getFirst() instanceof Compare compare)) {
      return true; // a set, or something else
    }
    byte[] data = compare.data().toArray();
    for (String link : links) {
      byte[] name = Arrays.copyOf(link.getBytes(StandardCharsets.US_ASCII), data.length);
      if ((compare.operator() == Compare.EQUAL) == Arrays.equals(name, data)) {
        return true;
      }
    }
    return false;
  }
}
