package cni.netlink.ffm.nftables;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Nat;
import cni.netlink.ffm.route.IpFamily;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The text of a rule in the syntax of nft(8), for people to read: {@code ip saddr 10.0.0.0/8 tcp
 * dport 80 counter drop}. What {@link Expression} cannot represent is named by its kind in angle
 * brackets, and matches and targets of iptables by their names, as nft does.
 */
public final class RuleText {
  /** The size of a register of NFT_REG_1 to NFT_REG_4 in those of NFT_REG32_00 and up. */
  private static final int WORDS = 4;

  private static final String TRANSPORT = "meta l4proto ";

  private final TableFamily family;

  /** What the registers hold, by the number of their first word. */
  private final TreeMap<Integer, RuleField> registers = new TreeMap<>();

  private final List<String> words = new ArrayList<>();

  private RuleText(TableFamily family) {
    this.family = family;
  }

  /** Returns the text of a rule, with its comment. */
  public static String of(InstalledRule rule) {
    var text = new RuleText(rule.chain().family());
    rule.rule().expressions().forEach(text::append);
    rule.rule().userdata().comment().ifPresent(it -> text.words.add("comment \"" + it + "\""));
    return String.join(" ", text.words);
  }

  private void append(Expression expression) {
    switch (expression) {
      case Expression.Meta meta -> load(meta.register(), RuleField.meta(meta.key()));
      case Expression.Payload payload ->
          load(payload.register(), RuleField.payload(payload, family));
      case Expression.Connection ct -> load(ct.register(), RuleField.connection(ct.key()));
      case Expression.Fib fib -> load(fib.register(), RuleField.FIB);
      case Expression.Immediate it -> load(it.register(), RuleField.constant(it.data()));
      case Expression.Bitwise bitwise ->
          load(bitwise.destination(), field(bitwise.source()).masked(bitwise.mask()));
      case Compare compare -> compare(compare);
      case Expression.Lookup lookup ->
          words.add(key(lookup.register()) + (lookup.inverted() ? " != @" : " @") + lookup.set());
      case Expression.VerdictLookup lookup ->
          words.add(key(lookup.register()) + " vmap @" + lookup.map());
      case Expression.Verdict verdict -> words.add(verdict(verdict));
      case Expression.Counter _ -> words.add("counter");
      case Expression.ObjectReference object -> words.add("limit name \"" + object.name() + "\"");
      case Expression.Masq _ -> words.add("masquerade");
      case Nat nat -> words.add(nat(nat));
      case Expression.Redirect redirect ->
          words.add("redirect" + (redirect.portRegister() == 0 ? "" : " to :" + portOf(redirect)));
      case Expression.Reject reject ->
          words.add(
              reject.type() == Expression.Reject.TCP_RESET ? "reject with tcp reset" : "reject");
      case Expression.Limit limit ->
          words.add(
              "limit rate %s%d/%d second burst %d packets"
                  .formatted(
                      limit.inverted() ? "over " : "",
                      limit.packets(),
                      limit.seconds(),
                      limit.burst()));
      case Expression.PacketLog log ->
          words.add(log.prefix().isEmpty() ? "log" : "log prefix \"" + log.prefix() + "\"");
      case Expression.TraceFlag _ -> words.add("meta nftrace set 1");
      case Expression.XtMatch match -> words.add(match(match));
      case Expression.XtTarget target -> words.add("xt target \"" + target.name() + "\"");
      case Expression.Unparsed unparsed -> words.add("<" + unparsed.kind() + ">");
    }
  }

  private static int word(int register) {
    boolean isLong = register < NftablesConstants.NFT_REG32_00;
    return isLong
        ? WORDS * (register - NftablesConstants.NFT_REG_1)
        : register - NftablesConstants.NFT_REG32_00;
  }

  private void load(int register, RuleField field) {
    registers.put(word(register), field);
  }

  private RuleField field(int register) {
    return registers.getOrDefault(word(register), RuleField.UNKNOWN);
  }

  /** Returns the key of a lookup, which may consist of several registers in succession. */
  private String key(int register) {
    Map<Integer, RuleField> fields = registers.tailMap(word(register), true);
    List<String> names = new ArrayList<>();
    fields.values().forEach(field -> names.add(field.name()));
    fields.clear();
    return String.join(" . ", names);
  }

  private void compare(Compare compare) {
    RuleField field = field(compare.register());
    registers.tailMap(word(compare.register()), true).clear();
    if (field.isImpliedBy(compare, family)) {
      return;
    }
    String operator = operator(compare);
    words.add(withTransport(field).comparison(operator, compare.data()));
  }

  /**
   * Names a field of the transport header by its protocol, if a condition before it says which, and
   * leaves that condition out: {@code tcp dport}.
   */
  private RuleField withTransport(RuleField field) {
    String condition = words.isEmpty() ? "" : words.getLast();
    if (!field.name().startsWith("th ") || !condition.startsWith(TRANSPORT)) {
      return field;
    }
    words.removeLast();
    return field.named(condition.substring(TRANSPORT.length()) + field.name().substring(2));
  }

  private static String operator(Compare compare) {
    return switch (compare.operator()) {
      case Compare.EQUAL -> " ";
      case Compare.NOT_EQUAL -> " != ";
      case 2 -> " < ";
      case Compare.LESS_OR_EQUAL -> " <= ";
      case 4 -> " > ";
      default -> " >= ";
    };
  }

  private static String verdict(Expression.Verdict verdict) {
    return switch (verdict.code()) {
      case NftablesConstants.NF_ACCEPT -> "accept";
      case NftablesConstants.NF_DROP -> "drop";
      case NftablesConstants.NFT_RETURN -> "return";
      case NftablesConstants.NFT_JUMP -> "jump " + verdict.chain();
      case NftablesConstants.NFT_GOTO -> "goto " + verdict.chain();
      default -> "verdict " + verdict.code();
    };
  }

  private String nat(Nat nat) {
    String action = nat.type() == Nat.SOURCE ? "snat" : "dnat";
    boolean isV4 = nat.family() == TableFamily.IP.number();
    String version = family == TableFamily.INET ? (isV4 ? " ip" : " ip6") : "";
    String address =
        nat.addressRegister() == 0
            ? ""
            : field(nat.addressRegister()).constantAddress(isV4 ? IpFamily.IPV4 : IpFamily.IPV6);
    String port = nat.portRegister() == 0 ? "" : ":" + field(nat.portRegister()).constantPort();
    String bracketed = isV4 || port.isEmpty() ? address : "[" + address + "]";
    return action + version + " to " + bracketed + port;
  }

  private String portOf(Expression.Redirect redirect) {
    return field(redirect.portRegister()).constantPort();
  }

  /** Only the comment is legible without the structure of the match. */
  private static String match(Expression.XtMatch match) {
    if (!match.name().equals("comment")) {
      return "xt match \"" + match.name() + "\"";
    }
    String text = new String(match.info().toArray(), StandardCharsets.UTF_8);
    int end = text.indexOf(0);
    return "/* " + (end < 0 ? text : text.substring(0, end)) + " */";
  }
}
