// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.NFT_REG_1;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Meta;
import cni.netlink.ffm.route.IpFamily;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Parses conditions in the syntax of nft(8), those that are useful in front of a NAT statement:
 * {@code ip} and {@code ip6 saddr} and {@code daddr}; {@code tcp}, {@code udp} and {@code sctp
 * sport} and {@code dport}; {@code iifname}, {@code oifname}, {@code meta l4proto}, {@code meta
 * mark}, {@code ct state}, {@code counter}; with {@code ==}, {@code !=}, networks, ranges and sets
 * in braces.
 */
public final class NftConditionParser {
  private static final Pattern WORD =
      Pattern.compile("\\s*(\"[^\"]*\"|[{},&]|[=!]=|[^\\s{},&=!\"]+)");

  private final List<String> words;
  private final RuleBuilder rule;
  private final TableFamily family;
  private int position;

  private NftConditionParser(List<String> words, RuleBuilder rule, TableFamily family) {
    this.words = words;
    this.rule = rule;
    this.family = family;
  }

  /**
   * Parses conditions and appends them to a rule. The messages of the exceptions continue a
   * sentence that begins with the name of the conditions: "have fib, which …".
   *
   * @param family the family of the rule's table, {@link TableFamily#IP} or {@link TableFamily#IP6}
   * @param words the text of the conditions, in pieces of one or more words
   * @throws IllegalArgumentException if a condition is malformed
   * @throws UnsupportedOperationException if a condition is not supported
   */
  public static void append(RuleBuilder rule, TableFamily family, List<String> words) {
    var parser = new NftConditionParser(split(String.join(" ", words)), rule, family);
    while (parser.position < parser.words.size()) {
      parser.parseCondition();
    }
  }

  private static List<String> split(String text) {
    List<String> words = new ArrayList<>();
    Matcher word = WORD.matcher(text.strip());
    int end = 0;
    while (end < text.strip().length()) {
      if (!word.find(end) || word.start() != end) {
        throw new IllegalArgumentException("are malformed at: " + text.strip().substring(end));
      }
      words.add(word.group(1));
      end = word.end();
    }
    return words;
  }

  private String next() {
    if (position == words.size()) {
      throw new IllegalArgumentException("are incomplete after " + words.getLast());
    }
    return words.get(position++);
  }

  /** Skips the next word if it is the given one. Returns whether it was. */
  private boolean skip(String word) {
    if (position < words.size() && words.get(position).equals(word)) {
      position++;
      return true;
    }
    return false;
  }

  private void parseCondition() {
    String first = next();
    switch (first) {
      case "ip", "ip6" -> parseAddress(first, next());
      case "tcp" -> parsePort(RuleBuilder.TCP, next());
      case "udp" -> parsePort(RuleBuilder.UDP, next());
      case "sctp" -> parsePort(RuleBuilder.SCTP, next());
      case "meta" -> parseMeta(next());
      case "iifname", "oifname", "mark" -> parseMeta(first);
      case "ct" -> parseConnection(next());
      case "counter" -> rule.append(new Expression.Counter());
      default -> throw unknown(first);
    }
  }

  private static UnsupportedOperationException unknown(String word) {
    return new UnsupportedOperationException(
        "have "
            + word
            + ", which is not supported; supported are ip and ip6 saddr and daddr, tcp, udp and sctp"
            + " sport and dport, iifname, oifname, meta l4proto, meta mark, ct state, counter");
  }

  private int operator() {
    if (skip("!=")) {
      return Compare.NOT_EQUAL;
    }
    skip("==");
    return Compare.EQUAL;
  }

  private void parseAddress(String protocol, String field) {
    if (!protocol.equals(family.toString())) {
      throw new IllegalArgumentException(
          "have " + protocol + " " + field + " in a table of family " + family);
    }
    if (!field.equals("saddr") && !field.equals("daddr")) {
      throw unknown(protocol + " " + field);
    }
    boolean source = field.equals("saddr");
    int operator = operator();
    IpFamily version = family == TableFamily.IP ? IpFamily.IPV4 : IpFamily.IPV6;
    if (skip("{")) {
      rule.loadAddress(version, version.addressLength(), source);
      var type =
          version == IpFamily.IPV4
              ? AnonymousSet.Type.IPV4_ADDRESS
              : AnonymousSet.Type.IPV6_ADDRESS;
      lookUp(type, operator, parseSet(word -> ValueRange.parse(word, family)));
      return;
    }
    ValueRange range = ValueRange.parse(next(), family);
    if (range.prefix() != ValueRange.NO_NETWORK) {
      InetAddress network = range.firstAddress();
      if (source) {
        rule.source(operator, network, range.prefix());
      } else {
        rule.destination(operator, network, range.prefix());
      }
    } else {
      rule.loadAddress(version, version.addressLength(), source);
      matchRange(operator, range);
    }
  }

  private void matchRange(int operator, ValueRange range) {
    if (operator != Compare.EQUAL) {
      throw new IllegalArgumentException("have a range after !=; write it as a set: { from-to }");
    }
    rule.append(new Compare(Compare.GREATER_OR_EQUAL, NFT_REG_1, range.first()));
    rule.append(new Compare(Compare.LESS_OR_EQUAL, NFT_REG_1, range.last()));
  }

  private void parsePort(int protocol, String field) {
    if (!field.equals("sport") && !field.equals("dport")) {
      throw unknown(field);
    }
    int operator = operator();
    rule.protocol(protocol).loadPort(field.equals("sport"));
    if (skip("{")) {
      lookUp(AnonymousSet.Type.PORT, operator, parseSet(ValueRange::ports));
      return;
    }
    ValueRange ports = ValueRange.ports(next());
    if (ports.isSingle()) {
      rule.append(new Compare(operator, NFT_REG_1, ports.first()));
    } else {
      matchRange(operator, ports);
    }
  }

  private void parseMeta(String key) {
    int operator = key.equals("mark") ? Compare.EQUAL : operator();
    switch (key) {
      case "iifname" -> parseInterface(Meta.INPUT_NAME, operator);
      case "oifname" -> parseInterface(Meta.OUTPUT_NAME, operator);
      case "mark" -> {
        int mask = skip("&") || skip("and") ? number(next(), 0xffff_ffffL) : -1;
        int compare = operator();
        rule.mark(compare, mask, number(next(), 0xffff_ffffL));
      }
      case "l4proto" -> {
        rule.append(new Meta(Meta.TRANSPORT_PROTOCOL, NFT_REG_1));
        if (skip("{")) {
          lookUp(
              AnonymousSet.Type.PROTOCOL, operator, parseSet(NftConditionParser::protocolElement));
        } else {
          rule.append(new Compare(operator, NFT_REG_1, Bytes.of(protocol(next()))));
        }
      }
      default -> throw unknown("meta " + key);
    }
  }

  private void parseInterface(int key, int operator) {
    rule.append(new Meta(key, NFT_REG_1));
    if (skip("{")) {
      lookUp(
          AnonymousSet.Type.INTERFACE_NAME,
          operator,
          parseSet(NftConditionParser::interfaceElement));
      return;
    }
    rule.append(new Compare(operator, NFT_REG_1, interfaceName(unquoted(next()))));
  }

  private static ValueRange interfaceElement(String word) {
    if (word.contains("*")) {
      throw new IllegalArgumentException(
          "have " + word + " in a set, where interface names must be complete");
    }
    return ValueRange.single(RuleBuilder.interfaceName(unquoted(word)));
  }

  /** Returns the bytes to compare a name with. A name that ends with an asterisk is a prefix. */
  private static Bytes interfaceName(String word) {
    Bytes name = RuleBuilder.interfaceName(word);
    boolean wildcard = word.endsWith("*") && word.length() > 1;
    return wildcard ? name.first(word.getBytes(StandardCharsets.UTF_8).length - 1) : name;
  }

  private static String unquoted(String word) {
    return word.startsWith("\"") ? word.substring(1, word.length() - 1) : word;
  }

  private void parseConnection(String key) {
    if (!key.equals("state") || operator() != Compare.EQUAL) {
      throw unknown("ct " + key);
    }
    int states = 0;
    boolean set = skip("{");
    do {
      states |=
          switch (next()) {
            case "new" -> Expression.Connection.NEW;
            case "established" -> Expression.Connection.ESTABLISHED;
            case "related" -> Expression.Connection.RELATED;
            default -> throw unknown("ct state " + words.get(position - 1));
          };
    } while (skip(","));
    if (set && !skip("}")) {
      throw new IllegalArgumentException("have a set without its closing brace");
    }
    rule.connectionState(states);
  }

  private List<ValueRange> parseSet(Function<String, ValueRange> elementParser) {
    List<ValueRange> elements = new ArrayList<>();
    do {
      elements.add(elementParser.apply(next()));
    } while (skip(","));
    if (!skip("}")) {
      throw new IllegalArgumentException("have a set without its closing brace");
    }
    return elements;
  }

  private void lookUp(AnonymousSet.Type type, int operator, List<ValueRange> elements) {
    AnonymousSet set = ValueRange.toSet(type, elements);
    rule.append(Expression.Lookup.ofSet(set, NFT_REG_1, operator == Compare.NOT_EQUAL));
  }

  private static ValueRange protocolElement(String word) {
    return ValueRange.single(Bytes.of(protocol(word)));
  }

  private static byte protocol(String word) {
    return (byte)
        switch (word) {
          case "tcp" -> RuleBuilder.TCP;
          case "udp" -> RuleBuilder.UDP;
          case "sctp" -> RuleBuilder.SCTP;
          case "icmp" -> 1;
          case "icmpv6", "ipv6-icmp" -> 58;
          default -> number(word, 255);
        };
  }

  /** Parses a decimal or hexadecimal number between 0 and a maximum. */
  static int number(String word, long max) {
    try {
      boolean hexadecimal = word.startsWith("0x");
      long number = hexadecimal ? Long.parseLong(word.substring(2), 16) : Long.parseLong(word);
      if (number >= 0 && number <= max) {
        return (int) number;
      }
    } catch (NumberFormatException e) {
      // reported below
    }
    throw new IllegalArgumentException("have " + word + ", which is not a number from 0 to " + max);
  }
}
