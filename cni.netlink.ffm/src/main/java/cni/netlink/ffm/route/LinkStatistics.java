// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.route.LinkConstants.IFLA_STATS64;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * The traffic counters of a link since it was created: struct rtnl_link_stats64 of linux/if_link.h.
 * They are unsigned 64-bit numbers, and count from the link's point of view: what the end of a veth
 * receives, its peer has transmitted.
 *
 * @param link the link, read together with its counters
 * @param received what the link received
 * @param transmitted what the link transmitted
 */
public record LinkStatistics(Link link, Counters received, Counters transmitted) {
  /** sizeof the counters that are read: eight u64, of each pair the received one first. */
  private static final int READ_BYTES = 8 * Long.BYTES;

  /**
   * The counters of one direction.
   *
   * @param bytes the bytes of all packets, with their link-layer headers
   * @param packets the packets, without those dropped
   * @param errors the packets that were malformed or could not be sent
   * @param dropped the packets that the link dropped, for lack of space or of a listener
   */
  public record Counters(long bytes, long packets, long errors, long dropped) {}

  /**
   * Returns the counters of the link with a name or alternative name; empty if there is none.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public static Optional<LinkStatistics> of(RouteSocket socket, String name) throws IOException {
    try {
      return Optional.of(read(socket.get(LinkRequests.getWithStatistics(name))));
    } catch (NetlinkException e) {
      if (e.is(Errno.ENODEV)) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * Reads a response to RTM_GETLINK.
   *
   * @throws MalformedMessageException if it has no counters, or fewer than are read
   */
  static LinkStatistics read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = RouteMessages.attributes(message, Link.IFINFOMSG);
    List<ByteBuffer> found = attributes.all(IFLA_STATS64);
    if (found.isEmpty() || found.getLast().remaining() < READ_BYTES) {
      throw new MalformedMessageException(
          "the counters of a link have "
              + (found.isEmpty() ? 0 : found.getLast().remaining())
              + " bytes, not "
              + READ_BYTES);
    }
    return new LinkStatistics(
        Link.read(message), direction(found.getLast(), 0), direction(found.getLast(), 1));
  }

  private static Counters direction(ByteBuffer counters, int index) {
    return new Counters(
        counters.getLong((2 + index) * Long.BYTES),
        counters.getLong(index * Long.BYTES),
        counters.getLong((4 + index) * Long.BYTES),
        counters.getLong((6 + index) * Long.BYTES));
  }
}
