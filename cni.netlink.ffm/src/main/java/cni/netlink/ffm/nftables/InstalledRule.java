// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;

/**
 * A rule and its place: a rule listed by the kernel, or one that should be installed.
 *
 * @param chain the chain of the rule
 * @param handle the handle by which the rule can be deleted, unique within the table; 0 for a rule
 *     that is not installed
 * @param rule the content of the rule
 */
public record InstalledRule(Chain chain, long handle, Rule rule) {
  /**
   * Returns whether both rules are in the same chain and {@link Rule#isEquivalentTo equivalent}.
   */
  public boolean isEquivalentTo(InstalledRule other) {
    return chain.equals(other.chain) && rule.isEquivalentTo(other.rule);
  }

  static InstalledRule read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = NetfilterMessages.attributes(message);
    TableFamily family = TableFamily.ofNumber(NetfilterMessages.family(message));
    var table = new Table(family, attributes.string(NftablesConstants.NFTA_RULE_TABLE).orElse(""));
    return new InstalledRule(
        table.chain(attributes.string(NftablesConstants.NFTA_RULE_CHAIN).orElse("")),
        attributes.be64(NftablesConstants.NFTA_RULE_HANDLE).orElse(0),
        Rule.read(attributes));
  }
}
