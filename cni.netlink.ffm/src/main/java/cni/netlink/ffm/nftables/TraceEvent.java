// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * A step of a traced packet through the rules, as {@code nft monitor trace} prints it.
 *
 * @param id the number of the packet; the same number may be used again for another packet
 * @param chain the chain
 * @param step what took effect in the chain
 * @param ruleHandle the handle of the rule; 0 if it was the end of the chain
 * @param verdict the verdict of the rule, or the policy of the base chain
 * @param headers the headers of the packet; empty except in the first event of a packet in each
 *     base chain
 * @param inputLink the index of the link that the packet came in by, 0 for none
 * @param outputLink the index of the link that the packet leaves by, 0 for none
 */
public record TraceEvent(
    int id,
    Chain chain,
    Step step,
    long ruleHandle,
    Verdict verdict,
    Optional<Headers> headers,
    int inputLink,
    int outputLink) {

  /** What took effect in a chain. */
  public enum Step {
    /** A rule whose conditions all applied. */
    RULE,
    /** The end of a chain, or a return from it. */
    RETURN,
    /** The end of a base chain, whose policy took effect. */
    POLICY
  }

  /** What follows for the packet. */
  public enum Verdict {
    ACCEPT,
    DROP,
    /** The next rule, another chain, or a queue. */
    CONTINUE
  }

  /**
   * The beginning of a packet's headers.
   *
   * @param network the IP header, without IPv4 options
   * @param transport up to 20 bytes of what follows it; empty in a later fragment
   */
  public record Headers(Bytes network, Bytes transport) {}

  /** Reads a message of type NFT_MSG_TRACE. */
  static TraceEvent read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = NetfilterMessages.attributes(message);
    TableFamily family = TableFamily.ofNumber(NetfilterMessages.family(message));
    var table = new Table(family, attributes.string(NFTA_TRACE_TABLE).orElse(""));
    int type = attributes.be32(NFTA_TRACE_TYPE).orElse(0);
    return new TraceEvent(
        attributes.be32(NFTA_TRACE_ID).orElse(0),
        table.chain(attributes.string(NFTA_TRACE_CHAIN).orElse("")),
        switch (type) {
          // The kernel also reports the end of a chain as a rule, one without handle.
          case NFT_TRACETYPE_RULE ->
              attributes.be64(NFTA_TRACE_RULE_HANDLE).orElse(0) == 0 ? Step.RETURN : Step.RULE;
          case NFT_TRACETYPE_RETURN -> Step.RETURN;
          case NFT_TRACETYPE_POLICY -> Step.POLICY;
          default -> throw new MalformedMessageException("trace of type " + type);
        },
        attributes.be64(NFTA_TRACE_RULE_HANDLE).orElse(0),
        verdict(attributes),
        headers(attributes),
        attributes.be32(NFTA_TRACE_IIF).orElse(0),
        attributes.be32(NFTA_TRACE_OIF).orElse(0));
  }

  private static Verdict verdict(Attributes attributes) throws MalformedMessageException {
    Optional<Attributes> nested = attributes.nested(NFTA_TRACE_VERDICT);
    int code =
        nested.isPresent()
            ? nested.get().be32(NFTA_VERDICT_CODE).orElse(NFT_RETURN)
            : attributes.be32(NFTA_TRACE_POLICY).orElse(NFT_RETURN);
    return switch (code) {
      case NF_DROP -> Verdict.DROP;
      case NF_ACCEPT -> Verdict.ACCEPT;
      default -> Verdict.CONTINUE;
    };
  }

  private static Optional<Headers> headers(Attributes attributes) {
    return attributes
        .bytes(NFTA_TRACE_NETWORK_HEADER)
        .map(
            network ->
                new Headers(
                    Bytes.of(network),
                    Bytes.of(attributes.bytes(NFTA_TRACE_TRANSPORT_HEADER).orElse(new byte[0]))));
  }
}
