// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * A chain listed by the kernel.
 *
 * @param chain the name
 * @param hook the hook of a base chain; empty for a regular chain
 * @param dropsByDefault whether it is a base chain with policy drop
 */
public record InstalledChain(Chain chain, Optional<Hook> hook, boolean dropsByDefault) {
  static InstalledChain read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = NetfilterMessages.attributes(message);
    TableFamily family = TableFamily.ofNumber(NetfilterMessages.family(message));
    var table = new Table(family, attributes.string(NftablesConstants.NFTA_CHAIN_TABLE).orElse(""));
    Chain chain = table.chain(attributes.string(NftablesConstants.NFTA_CHAIN_NAME).orElse(""));
    Optional<Attributes> hook = attributes.nested(NftablesConstants.NFTA_CHAIN_HOOK);
    if (hook.isEmpty()) {
      return new InstalledChain(chain, Optional.empty(), false);
    }
    int policy =
        attributes.be32(NftablesConstants.NFTA_CHAIN_POLICY).orElse(NftablesConstants.NF_ACCEPT);
    return new InstalledChain(
        chain,
        Optional.of(
            new Hook(
                attributes.string(NftablesConstants.NFTA_CHAIN_TYPE).orElse(""),
                hook.get().be32(NftablesConstants.NFTA_HOOK_HOOKNUM).orElse(-1),
                hook.get().be32(NftablesConstants.NFTA_HOOK_PRIORITY).orElse(0))),
        policy == NftablesConstants.NF_DROP);
  }
}
