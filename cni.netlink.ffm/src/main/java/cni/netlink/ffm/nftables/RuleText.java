// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Nat;
import cni.netlink.ffm.route.IpFamily;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * The text of a rule in the syntax of nft(8), for people to read: {@code ip saddr 10.0.0.0/8 tcp
 * dport 80 counter drop}. What {@link Expression} cannot represent is named by its kind in angle
 * brackets. Matches and targets of iptables are written as the expressions that have the same
 * effect, or else by their names, as nft does. The elements of an anonymous set are written if the
 * rule has them: the kernel lists only the set's name.
 */
public final class RuleText {
  /** The size of a register of NFT_REG_1 to NFT_REG_4 in those of NFT_REG32_00 and up. */
  private static final int WORDS = 4;

  private static final String TRANSPORT = "meta l4proto ";

  /** What nft calls the transport header of any protocol. */
  private static final String ANY_TRANSPORT = "th";

  private final TableFamily family;
  private final Form form;

  /** What the registers hold, by the number of their first word. */
  private final TreeMap<Integer, RuleField> registers = new TreeMap<>();

  private final List<String> words = new ArrayList<>();

  /** The transport protocol that the rule has matched. */
  private String transport = ANY_TRANSPORT;

  /** How much of a rule is written. */
  private enum Form {
    FULL,
    BRIEF
  }

  private RuleText(TableFamily family, Form form) {
    this.family = family;
    this.form = form;
  }

  /** Returns the text of a rule, with its comment. */
  public static String of(InstalledRule rule) {
    RuleText text = read(rule, Form.FULL);
    rule.rule().userdata().comment().ifPresent(it -> text.words.add("comment \"" + it + "\""));
    return String.join(" ", text.words);
  }

  /**
   * Returns the text of what a rule matches and does, without counters, comments and conditions
   * that follow from others: {@code tcp dport 8080 dnat to 10.1.0.2:80}.
   */
  public static String brief(InstalledRule rule) {
    return String.join(" ", read(rule, Form.BRIEF).words);
  }

  private static RuleText read(InstalledRule rule, Form form) {
    var text = new RuleText(rule.chain().family(), form);
    rule.rule().expressions().forEach(text::append);
    return text;
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
      case Expression.Lookup lookup -> lookup(lookup);
      case Expression.VerdictLookup lookup ->
          words.add(key(lookup.register()) + " vmap @" + lookup.map());
      case Expression.Verdict verdict -> words.add(verdict(verdict));
      case Expression.Counter _ -> addUnlessBrief("counter");
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
      case Expression.XtMatch match -> match(match);
      case Expression.XtTarget target -> words.add(IptablesText.of(target, family));
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
    fields.values().forEach(field -> names.add(withTransport(field).name()));
    fields.clear();
    return String.join(" . ", names);
  }

  private void compare(Compare compare) {
    RuleField field = field(compare.register());
    registers.tailMap(word(compare.register()), true).clear();
    if (!isImplied(field, compare)) {
      words.add(withTransport(field).comparison(operator(compare), compare.data()));
      rememberTransport(words.getLast());
    }
  }

  private boolean isImplied(RuleField field, Compare compare) {
    boolean isBridged = form == Form.BRIEF && family == TableFamily.BRIDGE;
    return field.isImpliedBy(compare, family)
        || (isBridged && field.isVersion() && compare.operator() == Compare.EQUAL);
  }

  private void rememberTransport(String condition) {
    if (condition.startsWith(TRANSPORT) && !condition.startsWith(TRANSPORT + "!")) {
      transport = condition.substring(TRANSPORT.length());
    }
  }

  /** Names a field of the transport header by its protocol: {@code tcp dport}. */
  private RuleField withTransport(RuleField field) {
    return field.name().startsWith(ANY_TRANSPORT + " ")
        ? field.named(transport() + field.name().substring(ANY_TRANSPORT.length()))
        : field;
  }

  /** Returns the transport protocol, and leaves out the condition that the field then implies. */
  private String transport() {
    words.remove(TRANSPORT + transport);
    return transport;
  }

  private void lookup(Expression.Lookup lookup) {
    RuleField field = field(lookup.register());
    String set =
        lookup
            .content()
            .filter(content -> !content.isInterval())
            .map(content -> elements(field, content))
            .orElse("@" + lookup.set());
    words.add(key(lookup.register()) + (lookup.inverted() ? " != " : " ") + set);
  }

  private static String elements(RuleField field, AnonymousSet set) {
    return set.elements().stream()
        .map(element -> field.value(element.key()))
        .collect(Collectors.joining(", ", "{ ", " }"));
  }

  private void addUnlessBrief(String text) {
    if (form == Form.FULL) {
      words.add(text);
    }
  }

  private void match(Expression.XtMatch match) {
    switch (match.name()) {
      case "comment" -> addUnlessBrief("/* " + IptablesText.comment(match) + " */");
      case "multiport" ->
          words.add(
              IptablesText.destinationPorts(match)
                  .map(ports -> transport() + " dport " + ports)
                  .orElseGet(() -> IptablesText.of(match)));
      default -> words.add(IptablesText.of(match));
    }
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
}
