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
 * The connections that a network namespace tracks (linux/netfilter/nfnetlink_conntrack.h). A
 * connection that was seen before an address translation came into being goes on without it until
 * it is forgotten.
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

  /** CTA_FILTER_F_CTA_PROTO_NUM of net/netfilter/nf_internals.h. */
  private static final int FILTER_PROTOCOL = 1 << 3;

  /** The same with CTA_FILTER_F_CTA_PROTO_DST_PORT. */
  private static final int FILTER_PORT = FILTER_PROTOCOL | 1 << 5;

  private ConntrackSocket() throws KernelException {
    super(NetlinkConstants.NETLINK_NETFILTER);
  }

  /**
   * Opens the namespace of the calling thread.
   *
   * @throws KernelException if the socket cannot be opened
   */
  public static ConntrackSocket open() throws KernelException {
    return new ConntrackSocket();
  }

  /**
   * Opens another namespace.
   *
   * @throws KernelException if it cannot be entered or the socket not be opened
   */
  public static ConntrackSocket open(NetNs namespace) throws KernelException {
    return namespace.call(ConntrackSocket::open);
  }

  /**
   * Forgets the connections of a protocol that were begun towards one of the ports.
   *
   * @param family IP or IP6
   * @param protocol such as {@link RuleBuilder#UDP}
   * @return how many there were
   * @throws IOException if the kernel refuses or cannot be asked
   */
  public int deleteConnections(TableFamily family, int protocol, Set<Integer> ports)
      throws IOException {
    List<NetlinkRequest> deletions = new ArrayList<>();
    for (ByteBuffer message : list(family, protocol, ports)) {
      Attributes connection = NftablesConstants.attributes(message);
      Optional<byte[]> tuple = connection.bytes(CTA_TUPLE_ORIG);
      if (tuple.isPresent() && isTowards(connection, protocol, ports)) {
        NetlinkRequest deletion = message(IPCTNL_MSG_CT_DELETE, 0, family, "forget a connection");
        deletion.bytes(CTA_TUPLE_ORIG, tuple.get());
        connection.bytes(CTA_ZONE).ifPresent(zone -> deletion.bytes(CTA_ZONE, zone));
        deletions.add(deletion);
      }
    }
    for (NetlinkResponse answer : socket.exchange(deletions)) {
      Optional<NetlinkException> error = answer.error();
      if (error.isPresent() && !error.get().is(Errno.ENOENT)) { // it has ended by itself
        throw error.get();
      }
    }
    return deletions.size();
  }

  private static boolean isTowards(Attributes connection, int protocol, Set<Integer> ports)
      throws MalformedMessageException {
    Optional<Attributes> tuple = connection.nested(CTA_TUPLE_ORIG);
    Optional<Attributes> proto =
        tuple.isEmpty() ? Optional.empty() : tuple.get().nested(CTA_TUPLE_PROTO);
    if (proto.isEmpty() || proto.get().u8(CTA_PROTO_NUM).orElse(-1) != protocol) {
      return false;
    }
    byte[] towards = proto.get().bytes(CTA_PROTO_DST_PORT).orElse(new byte[0]);
    return ports.stream().anyMatch(port -> Bytes.of(towards).equals(Bytes.be16(port)));
  }

  /**
   * The kernel picks those of the protocol, and of the port if there is only one; a kernel before
   * 5.8 does not and lists all of them.
   */
  private List<ByteBuffer> list(TableFamily family, int protocol, Set<Integer> ports)
      throws IOException {
    boolean single = ports.size() == 1;
    int port = single ? ports.iterator().next() : 0;
    NetlinkRequest request =
        message(IPCTNL_MSG_CT_GET, NetlinkConstants.NLM_F_DUMP, family, "list connections")
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

  private static NetlinkRequest message(int type, int flags, TableFamily family, String what) {
    return NftablesConstants.header(
        new NetlinkRequest(what, NFNL_SUBSYS_CTNETLINK << 8 | type, flags), family.number());
  }
}
