package cni.netlink.ffm.netfilter;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * A chain that is there.
 *
 * @param chain its name
 * @param hook where the kernel calls it, if it is a base chain
 * @param drops whether it is a base chain that drops what none of its rules accepts
 */
public record ListedChain(Chain chain, Optional<Hook> hook, boolean drops) {
  static ListedChain read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = NfTables.attributes(message);
    Family family = Family.of(Byte.toUnsignedInt(message.get(0)));
    var table = new Table(family, attributes.string(NfTables.NFTA_CHAIN_TABLE).orElse(""));
    Chain chain = table.chain(attributes.string(NfTables.NFTA_CHAIN_NAME).orElse(""));
    Optional<Attributes> hook = attributes.nested(NfTables.NFTA_CHAIN_HOOK);
    if (hook.isEmpty()) {
      return new ListedChain(chain, Optional.empty(), false);
    }
    var place =
        new Hook(
            attributes.string(NfTables.NFTA_CHAIN_TYPE).orElse(""),
            hook.get().be32(NfTables.NFTA_HOOK_HOOKNUM).orElse(-1),
            hook.get().be32(NfTables.NFTA_HOOK_PRIORITY).orElse(0));
    int policy = attributes.be32(NfTables.NFTA_CHAIN_POLICY).orElse(NfTables.NF_ACCEPT);
    return new ListedChain(chain, Optional.of(place), policy == NfTables.NF_DROP);
  }
}
