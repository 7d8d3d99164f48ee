// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.ExpressionAttributes.*;
import static cni.netlink.ffm.nftables.NftablesConstants.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.util.Optional;

/** What a counter has counted. */
public record PacketCount(long packets, long bytes) {
  /** Nothing. */
  public static final PacketCount ZERO = new PacketCount(0, 0);

  /** Returns the sum. */
  public PacketCount plus(PacketCount other) {
    return new PacketCount(packets + other.packets, bytes + other.bytes);
  }

  /** Reads an expression; empty if it is no counter. */
  static Optional<PacketCount> read(Attributes expression) throws MalformedMessageException {
    Optional<Attributes> data = expression.nested(NFTA_EXPR_DATA);
    if (data.isEmpty() || !expression.string(NFTA_EXPR_NAME).orElse("").equals("counter")) {
      return Optional.empty();
    }
    return Optional.of(
        new PacketCount(
            data.get().be64(NFTA_COUNTER_PACKETS).orElse(0),
            data.get().be64(NFTA_COUNTER_BYTES).orElse(0)));
  }
}
