package cni.netlink.ffm.nftables;

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
public record InstalledRule(Chain chain, long handle, Rule rule) {
  /** Whether both do the same in the same chain. */
  public boolean isEquivalentTo(InstalledRule other) {
    return chain.equals(other.chain) && rule.isEquivalentTo(other.rule);
  }

  static InstalledRule read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = NftablesConstants.attributes(message);
    TableFamily family = TableFamily.of(Byte.toUnsignedInt(message.get(0)));
    var table = new Table(family, attributes.string(NftablesConstants.NFTA_RULE_TABLE).orElse(""));
    return new InstalledRule(
        table.chain(attributes.string(NftablesConstants.NFTA_RULE_CHAIN).orElse("")),
        attributes.be64(NftablesConstants.NFTA_RULE_HANDLE).orElse(0),
        Rule.read(attributes));
  }
}
