// SPDX-License-Identifier: Apache-2.0
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
 * Conditions in the syntax of iptables(8): the options {@code -i}, {@code -s} and {@code -d}, each
 * optionally preceded by {@code !}.
 *
 * @param inputs interface names ({@code -i})
 * @param sources networks ({@code -s})
 * @param destinations networks ({@code -d})
 */
record IptablesConditions(
    List<Match<String>> inputs, List<Match<Cidr>> sources, List<Match<Cidr>> destinations) {
  /** A value to match, or not to match. */
  record Match<T>(T value, boolean inverted) {
    int comparison() {
      return inverted ? NOT_EQUAL : EQUAL;
    }
  }

  /**
   * Parses conditions for packets of a family.
   *
   * @throws IllegalArgumentException if a value is malformed; the message continues a sentence that
   *     starts with the key
   * @throws UnsupportedOperationException if an option is not one of the three
   */
  static IptablesConditions parse(List<String> words, TableFamily family) {
    var conditions =
        new IptablesConditions(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    Iterator<String> word = words.iterator();
    while (word.hasNext()) {
      String first = word.next();
      boolean inverted = first.equals("!");
      String option = inverted && word.hasNext() ? word.next() : first;
      conditions.add(option, word.hasNext() ? word.next() : "", inverted, family);
    }
    return conditions;
  }

  private void add(String option, String value, boolean inverted, TableFamily family) {
    try {
      switch (option) {
        case "-i", "--in-interface" -> inputs.add(new Match<>(interfaceName(value), inverted));
        case "-s", "--source", "--src" -> sources.add(network(value, family, inverted));
        case "-d", "--destination", "--dst" -> destinations.add(network(value, family, inverted));
        default ->
            throw new UnsupportedOperationException(
                "have "
                    + option
                    + ", which is not supported; only -s, -d and -i are, with or without !");
      }
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "have " + option + " " + value + ", which " + e.getMessage(), e);
    }
  }

  private static Match<Cidr> network(String value, TableFamily family, boolean inverted) {
    boolean v4 = family == TableFamily.IP;
    Cidr network =
        Cidr.parse(value.indexOf('/') >= 0 ? value : value + (v4 ? "/32" : "/128")).network();
    if (network.isV4() != v4) {
      throw new IllegalArgumentException("is of the other address family");
    }
    return new Match<>(network, inverted);
  }

  /** Starts a rule with these matches and a protocol match, in the order that iptables writes. */
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
      throw new IllegalArgumentException("is not an interface name:" + Names.INTERFACE_NAME_RULES);
    }
    return value;
  }

  /** Adds an interface match; a trailing plus sign matches every name with that prefix. */
  private static void input(IptablesRuleBuilder rule, Match<String> condition) {
    String name = condition.value();
    if (name.endsWith("+")) {
      rule.inputInterfacePrefix(condition.comparison(), name.substring(0, name.length() - 1));
    } else {
      rule.inputInterface(condition.comparison(), name);
    }
  }
}
