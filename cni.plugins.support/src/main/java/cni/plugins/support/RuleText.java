package cni.plugins.support;

import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.AnonymousSet;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.Expression;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.Userdata;
import cni.netlink.ffm.route.Mac;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * The text of one rule in the syntax of nft(8), for findings: {@code tcp dport 8080 dnat to
 * 10.1.0.2:80}. Conditions that follow from others, counters and comments are left out; an
 * expression whose text is not known is represented by its kind.
 */
final class RuleText {
  /** Bits of a connection's state, see {@link Expression.Connection}. */
  private static final Map<Integer, String> STATES =
      Map.of(
          Expression.Connection.ESTABLISHED, "established",
          Expression.Connection.RELATED, "related",
          Expression.Connection.NEW, "new");

  /** What nft calls the transport header of any protocol. */
  private static final String ANY_TRANSPORT = "th";

  private final List<String> words = new ArrayList<>();

  /** What the registers hold: the words for a property of the packet. */
  private final Map<Integer, Field> fields = new HashMap<>();

  /** What the registers hold: constants. */
  private final Map<Integer, Bytes> constants = new HashMap<>();

  /** The masks of registers. */
  private final Map<Integer, Bytes> masks = new HashMap<>();

  /** The transport protocol that the rule has matched; th if it has matched none. */
  private String transport = ANY_TRANSPORT;

  private RuleText() {}

  /** How the value of a property is written. */
  private enum Format {
    ADDRESS,
    NAME,
    NUMBER,
    MAC,
    PROTOCOL,
    STATE,
    HEX
  }

  /**
   * A property of the packet.
   *
   * @param name as nft names it: {@code ip saddr}
   */
  private record Field(String name, Format format) {}

  /** Returns the text of a rule. */
  static String of(Rule rule) {
    var text = new RuleText();
    rule.expressions().forEach(text::append);
    text.nameProtocol();
    return String.join(" ", text.words);
  }

  /** Names a transport protocol without a port. */
  private void nameProtocol() {
    boolean isNamed = words.stream().anyMatch(it -> it.startsWith(transport + " "));
    if (!isNamed && !transport.equals(ANY_TRANSPORT)) {
      words.addFirst("meta l4proto " + transport);
    }
  }

  private void append(Expression expression) {
    switch (expression) {
      case Expression.Meta(int key, int register) -> load(register, meta(key));
      case Expression.Payload payload -> load(payload.register(), payload(payload));
      case Expression.Connection(int key, int register) -> load(register, connection(key));
      case Expression.Fib fib -> load(fib.register(), new Field("fib daddr type", Format.HEX));
      case Expression.Bitwise bitwise -> masks.put(bitwise.destination(), bitwise.mask());
      case Expression.Immediate(int register, Bytes data) -> constants.put(register, data);
      case Expression.Compare compare -> compare(compare);
      case Expression.Lookup lookup -> lookup(lookup);
      case Expression.VerdictLookup(String map, int register) ->
          words.add(field(register).name + " vmap @" + map);
      case Expression.Verdict verdict -> words.add(verdict(verdict));
      case Expression.Nat nat -> nat(nat);
      case Expression.Masq _ -> words.add("masquerade");
      case Expression.Redirect(int register) -> words.add("redirect to :" + number(register));
      case Expression.XtMatch match -> match(match);
      case Expression.XtTarget target -> words.add(target(target));
      case Expression.Counter _ -> {}
      default -> words.add("(" + expression.kind() + ")");
    }
  }

  private void load(int register, Field field) {
    fields.put(register, field);
    masks.remove(register);
  }

  private Field field(int register) {
    return fields.getOrDefault(register, new Field("register " + register, Format.HEX));
  }

  private static Field meta(int key) {
    return switch (key) {
      case Expression.Meta.INPUT_NAME -> new Field("iifname", Format.NAME);
      case Expression.Meta.OUTPUT_NAME -> new Field("oifname", Format.NAME);
      case Expression.Meta.INPUT_KIND -> new Field("meta iifkind", Format.NAME);
      case Expression.Meta.OUTPUT_KIND -> new Field("meta oifkind", Format.NAME);
      case Expression.Meta.TRANSPORT_PROTOCOL -> new Field("", Format.PROTOCOL);
      case Expression.Meta.NETWORK_PROTOCOL, Expression.Meta.PROTOCOL -> new Field("", Format.HEX);
      case Expression.Meta.MARK -> new Field("meta mark", Format.HEX);
      default -> new Field("meta " + key, Format.HEX);
    };
  }

  private Field payload(Expression.Payload payload) {
    if (payload.base() == Expression.Payload.NETWORK_HEADER) {
      return switch (payload.offset()) {
        case 12 -> new Field("ip saddr", Format.ADDRESS);
        case 16 -> new Field("ip daddr", Format.ADDRESS);
        case 8 -> new Field("ip6 saddr", Format.ADDRESS);
        case 24 -> new Field("ip6 daddr", Format.ADDRESS);
        default -> new Field("@nh," + payload.offset(), Format.HEX);
      };
    }
    if (payload.base() == Expression.Payload.TRANSPORT_HEADER && payload.length() == 2) {
      return new Field(transport + (payload.offset() == 0 ? " sport" : " dport"), Format.NUMBER);
    }
    boolean isMac = payload.base() == Expression.Payload.LINK_HEADER && payload.length() == 6;
    return isMac
        ? new Field(payload.offset() == 6 ? "ether saddr" : "ether daddr", Format.MAC)
        : new Field("@" + payload.base() + "," + payload.offset(), Format.HEX);
  }

  private static Field connection(int key) {
    return key == Expression.Connection.STATE
        ? new Field("ct state", Format.STATE)
        : new Field(key == Expression.Connection.DIRECTION ? "ct direction" : "ct", Format.HEX);
  }

  private void compare(Expression.Compare compare) {
    Field field = field(compare.register());
    Optional<Bytes> mask = Optional.ofNullable(masks.remove(compare.register()));
    if (field.format == Format.STATE && mask.isPresent()) {
      words.add(field.name + " " + states(mask.get()));
      return;
    }
    String value = value(field, compare.data(), mask);
    if (field.format == Format.PROTOCOL) {
      transport = value;
      return; // named by the port that follows
    }
    if (!field.name.isEmpty()) {
      words.add(field.name + operator(compare.operator()) + value);
    }
  }

  private static String operator(int operator) {
    return switch (operator) {
      case Expression.Compare.EQUAL -> " ";
      case Expression.Compare.NOT_EQUAL -> " != ";
      case Expression.Compare.LESS_OR_EQUAL -> " <= ";
      case Expression.Compare.GREATER_OR_EQUAL -> " >= ";
      default -> " ? ";
    };
  }

  private static String value(Field field, Bytes data, Optional<Bytes> mask) {
    return switch (field.format) {
      case ADDRESS -> address(data, mask, field.name.startsWith("ip6") ? 16 : 4);
      case NAME -> "\"" + text(data) + "\"";
      case NUMBER -> new BigInteger(1, data.toArray()).toString();
      case MAC -> Mac.format(data.toArray());
      case PROTOCOL -> protocol(new BigInteger(1, data.toArray()).intValue());
      case STATE, HEX -> field.name.equals("fib daddr type") ? "local" : hex(data, mask);
    };
  }

  private static String hex(Bytes data, Optional<Bytes> mask) {
    return mask.map(it -> "and " + it + " == ").orElse("") + data;
  }

  /** A prefix of whole bytes is loaded without the others; any other has a mask. */
  private static String address(Bytes data, Optional<Bytes> mask, int length) {
    int prefix =
        mask.map(it -> new BigInteger(1, it.toArray()).bitCount()).orElse(8 * data.length());
    InetAddress address = address(data.first(length));
    return InetAddresses.format(address) + (prefix == 8 * length ? "" : "/" + prefix);
  }

  private static InetAddress address(Bytes bytes) {
    try {
      return InetAddress.getByAddress(bytes.toArray());
    } catch (UnknownHostException e) {
      throw new IllegalStateException(e); // the length is 4 or 16
    }
  }

  private static String text(Bytes data) {
    return new String(data.toArray(), StandardCharsets.UTF_8).replace("\0", "");
  }

  private static String protocol(int number) {
    return switch (number) {
      case RuleBuilder.TCP -> "tcp";
      case RuleBuilder.UDP -> "udp";
      case RuleBuilder.SCTP -> "sctp";
      default -> "protocol " + number;
    };
  }

  private static String states(Bytes mask) {
    int bits = ByteBuffer.wrap(mask.toArray()).order(ByteOrder.nativeOrder()).getInt();
    Set<String> names = new TreeSet<>();
    STATES.forEach(
        (bit, name) -> {
          if ((bits & bit) != 0) {
            names.add(name);
          }
        });
    return String.join(",", names);
  }

  private void lookup(Expression.Lookup lookup) {
    Field field = field(lookup.register());
    String set =
        lookup
            .content()
            .filter(it -> !it.isInterval())
            .map(it -> elements(field, it))
            .orElse("@" + lookup.set());
    words.add(field.name + (lookup.inverted() ? " != " : " ") + set);
  }

  private static String elements(Field field, AnonymousSet set) {
    return set.elements().stream()
        .map(it -> value(field, it.key(), Optional.empty()))
        .collect(Collectors.joining(", ", "{ ", " }"));
  }

  private static String verdict(Expression.Verdict verdict) {
    if (verdict.equals(Expression.Verdict.ACCEPT)) {
      return "accept";
    }
    if (verdict.equals(Expression.Verdict.DROP)) {
      return "drop";
    }
    if (verdict.equals(Expression.Verdict.RETURN)) {
      return "return";
    }
    boolean isJump = verdict.equals(Expression.Verdict.jump(verdict.chain()));
    return (isJump ? "jump " : "goto ") + verdict.chain();
  }

  private void nat(Expression.Nat nat) {
    Bytes address = constants.get(nat.addressRegister());
    String kind = nat.type() == Expression.Nat.DESTINATION ? "dnat to " : "snat to ";
    String target = address == null ? "" : endpoint(address, number(nat.portRegister()));
    words.add(kind + target);
  }

  private static String endpoint(Bytes address, String port) {
    String text = InetAddresses.format(address(address));
    if (port.isEmpty()) {
      return text;
    }
    return address.length() == 16 ? "[" + text + "]:" + port : text + ":" + port;
  }

  /** Returns the number in a register; the empty string without one. */
  private String number(int register) {
    Bytes data = constants.get(register);
    return data == null ? "" : new BigInteger(1, data.toArray()).toString();
  }

  private void match(Expression.XtMatch match) {
    switch (match.name()) {
      case "comment" -> {}
      case "addrtype" -> words.add("fib daddr type local");
      case "multiport" -> words.add(transport + " dport " + ports(match));
      default -> words.add("(" + match.name() + ")");
    }
  }

  private static String ports(Expression.XtMatch match) {
    return IptablesRuleBuilder.destinationPortsOf(new Rule(List.of(match), Userdata.NONE))
        .map(
            it ->
                "{ "
                    + new TreeSet<>(it)
                        .stream().map(String::valueOf).collect(Collectors.joining(", "))
                    + " }")
        .orElse("(multiport)");
  }

  private static String target(Expression.XtTarget target) {
    return switch (target.name()) {
      case "MASQUERADE" -> "masquerade";
      case "MARK" -> "set mark";
      case "DNAT" -> "dnat" + destination(target);
      default -> "(" + target.name() + ")";
    };
  }

  /** Reads struct nf_nat_range2, as {@link IptablesRuleBuilder#destinationNat} writes it. */
  private static String destination(Expression.XtTarget target) {
    if (target.revision() != 2 || target.info().length() < 40) {
      return "";
    }
    byte[] info = target.info().toArray();
    boolean isV4 = new BigInteger(1, Arrays.copyOfRange(info, 8, 20)).signum() == 0;
    Bytes address = Bytes.of(Arrays.copyOfRange(info, 4, isV4 ? 8 : 20));
    int port = Byte.toUnsignedInt(info[36]) << 8 | Byte.toUnsignedInt(info[37]);
    return " to " + endpoint(address, Integer.toString(port));
  }
}
