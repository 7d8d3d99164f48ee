package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * A chain that is there.
 *
 * @param chain its name
 * @param hook where the kernel calls it, if it is a base chain
 * @param dropsByDefault whether it is a base chain that drops what none of its rules accepts
 */
public record InstalledChain(Chain chain, Optional<Hook> hook, boolean dropsByDefault) {
  static InstalledChain read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = NftablesConstants.attributes(message);
    TableFamily family = TableFamily.of(Byte.toUnsignedInt(message.get(0)));
    var table = new Table(family, attributes.string(NftablesConstants.NFTA_CHAIN_TABLE).orElse(""));
    Chain chain = table.chain(attributes.string(NftablesConstants.NFTA_CHAIN_NAME).orElse(""));
    Optional<Attributes> hook = attributes.nested(NftablesConstants.NFTA_CHAIN_HOOK);
    if (hook.isEmpty()) {
      return new InstalledChain(chain, Optional.empty(), false);
    }
    var place =
        new Hook(
            attributes.string(NftablesConstants.NFTA_CHAIN_TYPE).orElse(""),
            hook.get().be32(NftablesConstants.NFTA_HOOK_HOOKNUM).orElse(-1),
            hook.get().be32(NftablesConstants.NFTA_HOOK_PRIORITY).orElse(0));
    int policy =
        attributes.be32(NftablesConstants.NFTA_CHAIN_POLICY).orElse(NftablesConstants.NF_ACCEPT);
    return new InstalledChain(chain, Optional.of(place), policy == NftablesConstants.NF_DROP);
  }
}
