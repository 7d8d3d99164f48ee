package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkClient;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.NetlinkResponse;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A socket for the connection tracking table of one network namespace
 * (linux/netfilter/nfnetlink_conntrack.h). Safe for use by several threads.
 *
 * <p>NAT rules are evaluated for the first packet of a connection only. A connection that was
 * tracked before a rule was added continues untranslated until its entry is deleted.
 */
public final class ConntrackSocket extends NetlinkClient {
  private static final int NFNL_SUBSYS_CTNETLINK = 1;
  private static final int IPCTNL_MSG_CT_GET = 1;
  private static final int IPCTNL_MSG_CT_DELETE = 2;
  private static final int CTA_TUPLE_ORIG = 1;
  private static final int CTA_ZONE = 18;
  private static final int CTA_FILTER = 25;
  private static final int CTA_FILTER_ORIG_FLAGS = 1;
  private static final int CTA_FILTER_REPLY_FLAGS = 2;
  private static final int CTA_TUPLE_PROTO = 2;
  private static final int CTA_PROTO_NUM = 1;
  private static final int CTA_PROTO_DST_PORT = 3;

  /** CTA_FILTER_F_CTA_PROTO_NUM of the kernel's net/netfilter/nf_internals.h. */
  private static final int FILTER_PROTOCOL = 1 << 3;

  /** CTA_FILTER_F_CTA_PROTO_NUM and CTA_FILTER_F_CTA_PROTO_DST_PORT. */
  private static final int FILTER_PORT = FILTER_PROTOCOL | 1 << 5;

  private ConntrackSocket() throws KernelException {
    super(NetlinkConstants.NETLINK_NETFILTER);
  }

  /**
   * Opens a socket in the namespace of the calling thread.
   *
   * @throws KernelException if the socket cannot be opened; EPROTONOSUPPORT if the kernel has no
   *     netfilter
   */
  public static ConntrackSocket open() throws KernelException {
    return new ConntrackSocket();
  }

  /**
   * Opens a socket in another namespace.
   *
   * @throws KernelException if the namespace cannot be entered or the socket cannot be opened
   */
  public static ConntrackSocket open(NetNs namespace) throws KernelException {
    return namespace.call(ConntrackSocket::open);
  }

  /**
   * Deletes the entries of connections whose first packet was sent to one of the ports.
   *
   * @param family {@link TableFamily#IP} or {@link TableFamily#IP6}
   * @param protocol the transport protocol, such as {@link RuleBuilder#UDP}
   * @param ports the destination ports
   * @return the number of matching entries
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public int deleteConnections(TableFamily family, int protocol, Set<Integer> ports)
      throws IOException {
    List<NetlinkRequest> deletions = new ArrayList<>();
    for (ByteBuffer message : list(family, protocol, ports)) {
      deletion(message, family, protocol, ports).ifPresent(deletions::add);
    }
    for (NetlinkResponse response : socket.exchange(deletions)) {
      Optional<NetlinkException> error = response.error();
      if (error.isPresent() && !error.get().is(Errno.ENOENT)) { // ENOENT: it ended meanwhile
        throw error.get();
      }
    }
    return deletions.size();
  }

  /** Reads a listed connection, and returns the request that deletes it if it is to a port. */
  static Optional<NetlinkRequest> deletion(
      ByteBuffer message, TableFamily family, int protocol, Set<Integer> ports)
      throws MalformedMessageException {
    Attributes connection = NetfilterMessages.attributes(message);
    Optional<byte[]> tuple = connection.bytes(CTA_TUPLE_ORIG);
    if (tuple.isEmpty() || !isTo(connection, protocol, ports)) {
      return Optional.empty();
    }
    NetlinkRequest deletion = request(IPCTNL_MSG_CT_DELETE, 0, family, "delete a connection");
    deletion.bytes(CTA_TUPLE_ORIG, tuple.get());
    connection.bytes(CTA_ZONE).ifPresent(zone -> deletion.bytes(CTA_ZONE, zone));
    return Optional.of(deletion);
  }

  private static boolean isTo(Attributes connection, int protocol, Set<Integer> ports)
      throws MalformedMessageException {
    Optional<Attributes> tuple = connection.nested(CTA_TUPLE_ORIG);
    Optional<Attributes> proto =
        tuple.isEmpty() ? Optional.empty() : tuple.get().nested(CTA_TUPLE_PROTO);
    if (proto.isEmpty() || proto.get().u8(CTA_PROTO_NUM).orElse(-1) != protocol) {
      return false;
    }
    byte[] destination = proto.get().bytes(CTA_PROTO_DST_PORT).orElse(new byte[0]);
    return ports.stream().anyMatch(port -> Bytes.of(destination).equals(Bytes.be16(port)));
  }

  /**
   * Lists the connections of a protocol. The kernel filters them by protocol and, if there is only
   * one, by port (CTA_FILTER, Linux 5.8 and later; earlier kernels list all connections).
   */
  private List<ByteBuffer> list(TableFamily family, int protocol, Set<Integer> ports)
      throws IOException {
    boolean single = ports.size() == 1;
    int port = single ? ports.iterator().next() : 0;
    NetlinkRequest request =
        request(IPCTNL_MSG_CT_GET, NetlinkConstants.NLM_F_DUMP, family, "list connections")
            .nest(
                CTA_TUPLE_ORIG,
                tuple ->
                    tuple.nest(
                        CTA_TUPLE_PROTO,
                        proto -> proto.u8(CTA_PROTO_NUM, protocol).be16(CTA_PROTO_DST_PORT, port)))
            .nest(
                CTA_FILTER | NetlinkConstants.NLA_F_NESTED,
                filter ->
                    filter
                        .u32(CTA_FILTER_ORIG_FLAGS, single ? FILTER_PORT : FILTER_PROTOCOL)
                        .u32(CTA_FILTER_REPLY_FLAGS, 0));
    return socket.execute(request);
  }

  private static NetlinkRequest request(
      int message, int flags, TableFamily family, String description) {
    int type = NFNL_SUBSYS_CTNETLINK << 8 | message;
    return NetfilterMessages.nfgenmsg(
        new NetlinkRequest(description, type, flags), family.number(), 0);
  }
}
