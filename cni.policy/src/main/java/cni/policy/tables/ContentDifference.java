// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.AnonymousSet;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableContent;
import cni.netlink.ffm.nftables.TableContent.SetContent;
import cni.policy.Protocol;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Describes in what a table differs from the content that it should have. */
final class ContentDifference {
  private final Table table;
  private final List<String> lines = new ArrayList<>();

  private ContentDifference(Table table) {
    this.table = table;
  }

  /**
   * Returns a line for each difference, in the order of the names; none if there is no difference.
   * The elements of sets with timeouts are not compared.
   *
   * @param actual what the kernel has
   */
  static List<String> of(TableContent expected, TableContent actual) {
    var difference = new ContentDifference(expected.table());
    difference.compare(expected, actual);
    return difference.lines;
  }

  private void compare(TableContent expected, TableContent actual) {
    if (expected.isEmpty() != actual.isEmpty()) {
      lines.add("table " + table + (actual.isEmpty() ? ": missing" : ": unexpected"));
      return;
    }
    for (String name : names(expected.limits(), actual.limits())) {
      compare("limit", name, expected.limits().get(name), actual.limits().get(name));
    }
    for (String name : names(expected.sets(), actual.sets())) {
      SetContent wanted = expected.sets().get(name);
      SetContent found = actual.sets().get(name);
      compare(
          "set", name, wanted == null ? null : wanted.set(), found == null ? null : found.set());
      if (wanted != null && found != null && wanted.set().equals(found.set())) {
        compareElements(wanted, found);
      }
    }
    for (String name : names(expected.chains(), actual.chains())) {
      compare("chain", name, expected.chains().get(name), actual.chains().get(name));
    }
  }

  private static Collection<String> names(Map<String, ?> expected, Map<String, ?> actual) {
    Set<String> names = new TreeSet<>(expected.keySet());
    names.addAll(actual.keySet());
    return names;
  }

  private <T> void compare(String kind, String name, @Nullable T expected, @Nullable T actual) {
    if (expected == null) {
      lines.add(kind + " " + table + " " + name + ": unexpected");
    } else if (actual == null) {
      lines.add(kind + " " + table + " " + name + ": missing");
    } else if (!expected.equals(actual)) {
      lines.add(kind + " " + table + " " + name + ": differs");
    }
  }

  private void compareElements(SetContent expected, SetContent actual) {
    NamedSet set = expected.set();
    if (!set.hasTimeouts()) {
      addElements(set, expected.elements(), actual.elements(), ": missing");
      addElements(set, actual.elements(), expected.elements(), ": unexpected");
    }
  }

  private void addElements(
      NamedSet set, Set<SetElement> elements, Set<SetElement> others, String problem) {
    elements.stream()
        .filter(it -> !others.contains(it))
        .map(it -> "element " + table + " " + set.name() + " { " + format(set, it) + " }" + problem)
        .sorted()
        .forEach(lines::add);
  }

  /** Returns an element about as nft writes it. */
  static String format(NamedSet set, SetElement element) {
    List<String> fields = new ArrayList<>();
    byte[] first = element.first().toArray();
    byte[] last = element.last().toArray();
    int offset = 0;
    for (AnonymousSet.Type type : set.key()) {
      int end = offset + type.length();
      String low = format(type, Arrays.copyOfRange(first, offset, end));
      String high = format(type, Arrays.copyOfRange(last, offset, end));
      fields.add(low.equals(high) ? low : low + "-" + high);
      offset = end;
    }
    String key = String.join(" . ", fields);
    return element.verdict().map(it -> key + " : jump " + it.chain()).orElse(key);
  }

  private static String format(AnonymousSet.Type type, byte[] value) {
    if (type.equals(AnonymousSet.Type.INTERFACE_NAME)) {
      return new String(value, StandardCharsets.UTF_8).replace("\0", "");
    }
    if (type.equals(AnonymousSet.Type.PORT)) {
      return Integer.toString(Byte.toUnsignedInt(value[0]) << 8 | Byte.toUnsignedInt(value[1]));
    }
    if (type.equals(AnonymousSet.Type.PROTOCOL)) {
      return protocol(Byte.toUnsignedInt(value[0]));
    }
    boolean isAddress =
        type.equals(AnonymousSet.Type.IPV4_ADDRESS) || type.equals(AnonymousSet.Type.IPV6_ADDRESS);
    return isAddress ? InetAddresses.format(InetAddresses.of(value)) : Bytes.of(value).toString();
  }

  private static String protocol(int number) {
    for (Protocol protocol : Protocol.values()) {
      if (protocol.number(true) == number || protocol.number(false) == number) {
        return protocol.name();
      }
    }
    return Integer.toString(number);
  }
}
