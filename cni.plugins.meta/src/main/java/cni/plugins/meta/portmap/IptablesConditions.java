package cni.plugins.meta.portmap;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;
import static cni.netlink.ffm.nftables.Expression.Compare.NOT_EQUAL;

import cni.api.Cidr;
import cni.api.Names;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;
import cni.netlink.ffm.nftables.TableFamily;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * Conditions in the words of iptables, as many of them as concern where a packet comes from and
 * goes to.
 *
 * @param inputs interfaces, {@code -i}
 * @param sources networks, {@code -s}
 * @param destinations networks, {@code -d}
 */
record IptablesConditions(
    List<Match<String>> inputs, List<Match<Cidr>> sources, List<Match<Cidr>> destinations) {
  /** A value that is wanted, or that is not. */
  record Match<T>(T value, boolean inverted) {
    int comparison() {
      return inverted ? NOT_EQUAL : EQUAL;
    }
  }

  /**
   * Reads them.
   *
   * @throws IllegalArgumentException if a value is malformed; the message goes on from the key
   * @throws UnsupportedOperationException if an option is not among those read here
   */
  static IptablesConditions parse(List<String> words, boolean v4) {
    var conditions =
        new IptablesConditions(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    Iterator<String> word = words.iterator();
    while (word.hasNext()) {
      String first = word.next();
      boolean inverted = first.equals("!");
      String option = inverted && word.hasNext() ? word.next() : first;
      conditions.add(option, word.hasNext() ? word.next() : "", inverted, v4);
    }
    return conditions;
  }

  private void add(String option, String value, boolean inverted, boolean v4) {
    try {
      switch (option) {
        case "-i", "--in-interface" -> inputs.add(new Match<>(interfaceName(value), inverted));
        case "-s", "--source", "--src" -> sources.add(network(value, v4, inverted));
        case "-d", "--destination", "--dst" -> destinations.add(network(value, v4, inverted));
        default ->
            throw new UnsupportedOperationException(
                "have "
                    + option
                    + ", which is not supported; what is: -s, -d and -i, each with ! before it or"
                    + " not");
      }
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "have " + option + " " + value + ", which " + e.getMessage(), e);
    }
  }

  private static Match<Cidr> network(String value, boolean v4, boolean inverted) {
    Cidr network =
        Cidr.parse(value.indexOf('/') >= 0 ? value : value + (v4 ? "/32" : "/128")).network();
    if (network.isV4() != v4) {
      throw new IllegalArgumentException("is of the other family");
    }
    return new Match<>(network, inverted);
  }

  /** Begins a rule with them, at the places where iptables has them. */
  IptablesRuleBuilder startRule(TableFamily family, int protocol) {
    IptablesRuleBuilder rule = IptablesRuleBuilder.forFamily(family);
    inputs.forEach(it -> input(rule, it));
    rule.protocol(protocol);
    sources.forEach(it -> rule.source(it.comparison(), it.value().address(), it.value().prefix()));
    destinations.forEach(
        it -> rule.destination(it.comparison(), it.value().address(), it.value().prefix()));
    return rule;
  }

  private static String interfaceName(String value) {
    if (!Names.isInterfaceName(value) || value.equals("+")) {
      throw new IllegalArgumentException("is no interface: its name" + Names.INTERFACE_NAME_RULES);
    }
    return value;
  }

  /** A name that ends with a plus sign stands for all that begin so. */
  private static void input(IptablesRuleBuilder rule, Match<String> condition) {
    String name = condition.value();
    if (name.endsWith("+")) {
      rule.inputInterfacePrefix(condition.comparison(), name.substring(0, name.length() - 1));
    } else {
      rule.inputInterface(condition.comparison(), name);
    }
  }
}
