package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.NFT_REG_1;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Meta;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads conditions in the words of nft(8), as many of them as people write before a rule of address
 * translation: {@code ip saddr}, {@code ip daddr}, {@code iifname}, {@code oifname}, {@code tcp
 * dport} and the like, {@code meta l4proto}, {@code meta mark}, {@code ct state}, {@code counter};
 * with {@code ==}, {@code !=}, networks, ranges and sets in braces.
 */
public final class NftConditionParser {
  private static final Pattern WORD =
      Pattern.compile("\\s*(\"[^\"]*\"|[{},&]|[=!]=|[^\\s{},&=!\"]+)");

  private final List<String> words;
  private final RuleBuilder rule;
  private final TableFamily family;
  private int at;

  private NftConditionParser(List<String> words, RuleBuilder rule, TableFamily family) {
    this.words = words;
    this.rule = rule;
    this.family = family;
  }

  /**
   * Appends conditions to a rule.
   *
   * @param words single words, or several in one text
   * @param family of the rule's table, IP or IP6
   * @throws IllegalArgumentException if they are malformed
   * @throws UnsupportedOperationException if one is not among those that are read here; either
   *     message goes on from the conditions: "have fib, which …"
   */
  public static void append(RuleBuilder rule, TableFamily family, List<String> words) {
    var conditions = new NftConditionParser(split(String.join(" ", words)), rule, family);
    while (conditions.at < conditions.words.size()) {
      conditions.readOne();
    }
  }

  private static List<String> split(String text) {
    List<String> words = new ArrayList<>();
    Matcher word = WORD.matcher(text.strip());
    int end = 0;
    while (end < text.strip().length()) {
      if (!word.find(end) || word.start() != end) {
        throw new IllegalArgumentException("cannot be read from " + text.strip().substring(end));
      }
      words.add(word.group(1));
      end = word.end();
    }
    return words;
  }

  private String next() {
    if (at == words.size()) {
      throw new IllegalArgumentException("end too early, after " + words.getLast());
    }
    return words.get(at++);
  }

  private boolean skip(String word) {
    boolean there = at < words.size() && words.get(at).equals(word);
    at += there ? 1 : 0;
    return there;
  }

  private void readOne() {
    String first = next();
    switch (first) {
      case "ip", "ip6" -> readAddress(first, next());
      case "tcp" -> readPort(RuleBuilder.TCP, next());
      case "udp" -> readPort(RuleBuilder.UDP, next());
      case "sctp" -> readPort(RuleBuilder.SCTP, next());
      case "meta" -> readMeta(next());
      case "iifname", "oifname", "mark" -> readMeta(first);
      case "ct" -> readConnection(next());
      case "counter" -> rule.append(new Expression.Counter());
      default -> throw unknown(first);
    }
  }

  private static UnsupportedOperationException unknown(String word) {
    return new UnsupportedOperationException(
        "have "
            + word
            + ", which is not supported; what is: ip and ip6 saddr and daddr, tcp, udp and sctp"
            + " sport and dport, iifname, oifname, meta l4proto, meta mark, ct state, counter");
  }

  private int operator() {
    if (skip("!=")) {
      return Compare.NOT_EQUAL;
    }
    skip("==");
    return Compare.EQUAL;
  }

  private void readAddress(String protocol, String field) {
    if (!protocol.equals(family.toString())) {
      throw new IllegalArgumentException(
          "have " + protocol + " " + field + " in a table of family " + family);
    }
    if (!field.equals("saddr") && !field.equals("daddr")) {
      throw unknown(protocol + " " + field);
    }
    boolean source = field.equals("saddr");
    int operator = operator();
    if (skip("{")) {
      boolean v4 = family == TableFamily.IP;
      rule.loadAddress(v4, v4 ? 4 : 16, source);
      var type = v4 ? AnonymousSet.Type.IPV4_ADDRESS : AnonymousSet.Type.IPV6_ADDRESS;
      lookUp(type, operator, readSet(word -> ValueRange.parse(word, family)));
      return;
    }
    ValueRange range = ValueRange.parse(next(), family);
    if (range.prefix() >= 0) {
      InetAddress network = range.first();
      if (source) {
        rule.source(operator, network, range.prefix());
      } else {
        rule.destination(operator, network, range.prefix());
      }
    } else {
      rule.loadAddress(family == TableFamily.IP, range.firstBytes().length(), source);
      between(operator, range.firstBytes(), range.lastBytes());
    }
  }

  private void between(int operator, Bytes first, Bytes last) {
    if (operator != Compare.EQUAL) {
      throw new IllegalArgumentException("have a range after !=; write it as a set: { from-to }");
    }
    rule.append(new Compare(Compare.GREATER_OR_EQUAL, NFT_REG_1, first));
    rule.append(new Compare(Compare.LESS_OR_EQUAL, NFT_REG_1, last));
  }

  private void readPort(int protocol, String field) {
    if (!field.equals("sport") && !field.equals("dport")) {
      throw unknown(field);
    }
    int operator = operator();
    rule.protocol(protocol).loadPort(field.equals("sport"));
    if (skip("{")) {
      lookUp(AnonymousSet.Type.PORT, operator, readSet(ValueRange::ports));
      return;
    }
    ValueRange ports = ValueRange.ports(next());
    if (ports.firstBytes().equals(ports.lastBytes())) {
      rule.append(new Compare(operator, NFT_REG_1, ports.firstBytes()));
    } else {
      between(operator, ports.firstBytes(), ports.lastBytes());
    }
  }

  private void readMeta(String key) {
    int operator = key.equals("mark") ? Compare.EQUAL : operator();
    switch (key) {
      case "iifname" -> readInterface(Meta.INPUT_NAME, operator);
      case "oifname" -> readInterface(Meta.OUTPUT_NAME, operator);
      case "mark" -> {
        int mask = skip("&") || skip("and") ? number(next(), 0xffff_ffffL) : -1;
        int compare = operator();
        rule.mark(compare, mask, number(next(), 0xffff_ffffL));
      }
      case "l4proto" -> {
        rule.append(new Meta(Meta.TRANSPORT_PROTOCOL, NFT_REG_1));
        if (skip("{")) {
          lookUp(AnonymousSet.Type.PROTOCOL, operator, readSet(NftConditionParser::protocols));
        } else {
          rule.append(new Compare(operator, NFT_REG_1, Bytes.of(protocol(next()))));
        }
      }
      default -> throw unknown("meta " + key);
    }
  }

  private void readInterface(int key, int operator) {
    rule.append(new Meta(key, NFT_REG_1));
    if (skip("{")) {
      lookUp(
          AnonymousSet.Type.INTERFACE_NAME,
          operator,
          readSet(
              word -> {
                if (word.contains("*")) {
                  throw new IllegalArgumentException(
                      "have " + word + " in a set: give whole names");
                }
                Bytes name = RuleBuilder.interfaceName(unquoted(word));
                return new ValueRange(name, name, -1);
              }));
      return;
    }
    rule.append(new Compare(operator, NFT_REG_1, interfaceName(unquoted(next()))));
  }

  /** A name that ends with an asterisk stands for all that begin so. */
  private static Bytes interfaceName(String word) {
    Bytes name = RuleBuilder.interfaceName(word);
    boolean wildcard = word.endsWith("*") && word.length() > 1;
    return wildcard ? name.first(word.getBytes(StandardCharsets.UTF_8).length - 1) : name;
  }

  private static String unquoted(String word) {
    return word.startsWith("\"") ? word.substring(1, word.length() - 1) : word;
  }

  private void readConnection(String key) {
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
            default -> throw unknown("ct state " + words.get(at - 1));
          };
    } while (skip(","));
    if (set && !skip("}")) {
      throw new IllegalArgumentException("have a set without its closing brace");
    }
    rule.connectionState(states);
  }

  private interface ElementReader {
    ValueRange read(String word);
  }

  private List<ValueRange> readSet(ElementReader reader) {
    List<ValueRange> elements = new ArrayList<>();
    do {
      elements.add(reader.read(next()));
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

  private static ValueRange protocols(String word) {
    Bytes protocol = Bytes.of(protocol(word));
    return new ValueRange(protocol, protocol, -1);
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

  static int number(String word, long greatest) {
    try {
      boolean hexadecimal = word.startsWith("0x");
      long number = hexadecimal ? Long.parseLong(word.substring(2), 16) : Long.parseLong(word);
      if (number >= 0 && number <= greatest) {
        return (int) number;
      }
    } catch (NumberFormatException e) {
      // said below
    }
    throw new IllegalArgumentException("have " + word + " instead of a number up to " + greatest);
  }
}
