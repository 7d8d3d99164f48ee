package cni.netlink.ffm.netfilter;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;

/**
 * A rule that is there.
 *
 * @param chain where
 * @param handle the number by which it can be deleted, the table's own
 * @param rule what it does
 */
public record ListedRule(Chain chain, long handle, Rule rule) {
  /** Whether both do the same in the same chain. */
  public boolean doesSameAs(ListedRule other) {
    return chain.equals(other.chain) && rule.doesSameAs(other.rule);
  }

  static ListedRule read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = NfTables.attributes(message);
    Family family = Family.of(Byte.toUnsignedInt(message.get(0)));
    var table = new Table(family, attributes.string(NfTables.NFTA_RULE_TABLE).orElse(""));
    return new ListedRule(
        table.chain(attributes.string(NfTables.NFTA_RULE_CHAIN).orElse("")),
        attributes.be64(NfTables.NFTA_RULE_HANDLE).orElse(0),
        Rule.read(attributes));
  }
}
