// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetlinkClient;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.NetlinkResponse;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * A socket for the connection tracking table of one network namespace
 * (linux/netfilter/nfnetlink_conntrack.h). Safe for use by several threads.
 *
 * <p>NAT rules are evaluated for the first packet of a connection only. A connection that was
 * tracked before a rule was added continues untranslated until its entry is deleted.
 */
public final class ConntrackSocket extends NetlinkClient {
  /**
   * The number of filters up to which the kernel deletes: each takes 0.25 ms for 262,144 buckets, a
   * listing 10 ms.
   */
  private static final int MAX_FLUSHES = 32;

  private static final int FILTER_PROTOCOL = ConntrackConstants.CTA_FILTER_F_CTA_PROTO_NUM;
  private static final int FILTER_PORT =
      FILTER_PROTOCOL | ConntrackConstants.CTA_FILTER_F_CTA_PROTO_DST_PORT;
  private static final int FILTER_SERVER =
      FILTER_PROTOCOL
          | ConntrackConstants.CTA_FILTER_F_CTA_PROTO_SRC_PORT
          | ConntrackConstants.CTA_FILTER_F_CTA_IP_SRC;

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
   * Deletes the entries of the connections that one of the filters selects. Since Linux 6.11 the
   * kernel applies most filters itself, in a fortieth of the time of a listing: it passes over
   * empty buckets of its table without locking them (get_next_corpse). Connections that a flow
   * table has taken over stay then.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public void deleteConnections(List<ConnectionFilter> filters) throws IOException {
    Map<Boolean, List<ConnectionFilter>> byKernel =
        filters.stream().collect(Collectors.partitioningBy(ConntrackSocket::isAppliedByKernel));
    List<ConnectionFilter> applied = byKernel.getOrDefault(true, List.of());
    boolean isDone = applied.size() <= MAX_FLUSHES && flush(applied);
    deleteConnections(
        isDone ? byKernel.getOrDefault(false, List.of()) : filters, connection -> true);
  }

  /**
   * Returns whether the kernel applies a filter as it is meant: ctnetlink_filter_match_tuple
   * compares ports of TCP and UDP only, and selects IPv6 addresses that differ from the given one.
   */
  private static boolean isAppliedByKernel(ConnectionFilter filter) {
    boolean hasAddress = filter.destination().isPresent() || filter.server().isPresent();
    return (filter.protocol() == RuleBuilder.TCP || filter.protocol() == RuleBuilder.UDP)
        && (filter.family() == TableFamily.IP || !hasAddress);
  }

  /** Has the kernel delete the entries. Returns false if it cannot, having deleted none. */
  private boolean flush(List<ConnectionFilter> filters) throws IOException {
    List<NetlinkRequest> flushes = filters.stream().map(ConntrackSocket::flushRequest).toList();
    for (NetlinkResponse response : socket.exchange(flushes)) {
      Optional<NetlinkException> error = response.error();
      if (error.isPresent()) {
        if (error.get().is(Errno.EINVAL) || error.get().is(Errno.EOPNOTSUPP)) {
          return false;
        }
        throw error.get();
      }
    }
    return true;
  }

  /**
   * Returns the request that deletes all entries that a filter selects. Earlier kernels take it for
   * one that deletes a single entry, and refuse it because the tuple has no source address.
   */
  private static NetlinkRequest flushRequest(ConnectionFilter filter) {
    NetlinkRequest request =
        request(
            ConntrackConstants.IPCTNL_MSG_CT_DELETE,
            0,
            filter.family().number(),
            "delete connections to port " + filter.port());
    tuple(
        request,
        ConntrackConstants.CTA_TUPLE_ORIG,
        ConntrackConstants.CTA_IP_V4_DST,
        filter.destination(),
        proto ->
            proto
                .u8(ConntrackConstants.CTA_PROTO_NUM, filter.protocol())
                .be16(ConntrackConstants.CTA_PROTO_DST_PORT, filter.port()));
    int reply = 0;
    if (filter.server().isPresent()) {
      ConnectionFilter.Server server = filter.server().get();
      tuple(
          request,
          ConntrackConstants.CTA_TUPLE_REPLY,
          ConntrackConstants.CTA_IP_V4_SRC,
          Optional.of(server.address()),
          proto ->
              proto
                  .u8(ConntrackConstants.CTA_PROTO_NUM, filter.protocol())
                  .be16(ConntrackConstants.CTA_PROTO_SRC_PORT, server.port()));
      reply = FILTER_SERVER;
    }
    int address = filter.destination().isPresent() ? ConntrackConstants.CTA_FILTER_F_CTA_IP_DST : 0;
    return filter(request, FILTER_PORT | address, reply);
  }

  private static void tuple(
      NetlinkRequest request,
      int tuple,
      int addressType,
      Optional<Bytes> address,
      Consumer<NetlinkRequest> proto) {
    request.nest(
        tuple,
        it -> {
          address.ifPresent(
              bytes ->
                  it.nest(
                      ConntrackConstants.CTA_TUPLE_IP,
                      ip -> ip.bytes(addressType, bytes.toArray())));
          it.nest(ConntrackConstants.CTA_TUPLE_PROTO, proto);
        });
  }

  private static NetlinkRequest filter(NetlinkRequest request, int orig, int reply) {
    return request.nest(
        ConntrackConstants.CTA_FILTER | NetlinkConstants.NLA_F_NESTED,
        filter ->
            filter
                .u32(ConntrackConstants.CTA_FILTER_ORIG_FLAGS, orig)
                .u32(ConntrackConstants.CTA_FILTER_REPLY_FLAGS, reply));
  }

  /**
   * Deletes the entries of those connections that one of the filters selects and a predicate as
   * well. The kernel walks its whole table to list the connections of a family and a protocol,
   * which takes 10 ms for 262,144 buckets, the default.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public void deleteConnections(
      List<ConnectionFilter> filters, Predicate<TrackedConnection> isDeleted) throws IOException {
    Map<TableFamily, Map<Integer, List<ConnectionFilter>>> byFamily =
        new EnumMap<>(TableFamily.class);
    for (ConnectionFilter filter : filters) {
      byFamily
          .computeIfAbsent(filter.family(), it -> new TreeMap<>())
          .computeIfAbsent(filter.protocol(), it -> new ArrayList<>())
          .add(filter);
    }
    if (filters.isEmpty() || isEmpty()) {
      return;
    }
    for (Map.Entry<TableFamily, Map<Integer, List<ConnectionFilter>>> family :
        byFamily.entrySet()) {
      for (Map.Entry<Integer, List<ConnectionFilter>> protocol : family.getValue().entrySet()) {
        List<ConnectionFilter> selected = protocol.getValue();
        deleteListed(
            family.getKey().number(),
            protocol.getKey(),
            selected.stream().map(ConnectionFilter::port).collect(Collectors.toUnmodifiableSet()),
            it -> selected.stream().anyMatch(filter -> filter.matches(it)) && isDeleted.test(it));
      }
    }
  }

  /** Returns whether no connection is tracked in the namespace, which takes 10 us. */
  private boolean isEmpty() throws IOException {
    NetlinkRequest request =
        request(
            ConntrackConstants.IPCTNL_MSG_CT_GET_STATS,
            0,
            NetfilterMessages.NFPROTO_UNSPEC,
            "count connections");
    for (ByteBuffer message : socket.execute(request)) {
      OptionalInt entries =
          NetfilterMessages.attributes(message).be32(ConntrackConstants.CTA_STATS_GLOBAL_ENTRIES);
      if (entries.isPresent()) {
        return entries.getAsInt() == 0;
      }
    }
    return false;
  }

  private void deleteListed(
      int family, int protocol, Set<Integer> ports, Predicate<TrackedConnection> isDeleted)
      throws IOException {
    List<TrackedConnection> selected = new ArrayList<>();
    for (ByteBuffer message : list(family, protocol, ports)) {
      TrackedConnection connection = TrackedConnection.read(message);
      if (connection.protocol() == protocol
          && ports.contains(connection.port())
          && isDeleted.test(connection)) {
        selected.add(connection);
      }
    }
    delete(selected);
  }

  /**
   * Returns the connections of all protocols of IPv4 and IPv6, in one walk over the kernel's table.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<TrackedConnection> connections() throws IOException {
    List<TrackedConnection> all = new ArrayList<>();
    if (!isEmpty()) {
      NetlinkRequest request =
          request(
              ConntrackConstants.IPCTNL_MSG_CT_GET,
              NetlinkConstants.NLM_F_DUMP,
              NetfilterMessages.NFPROTO_UNSPEC,
              "list connections");
      for (ByteBuffer message : socket.execute(request)) {
        all.add(TrackedConnection.read(message));
      }
    }
    return all;
  }

  /**
   * Deletes entries. Those that have ended meanwhile are passed over.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public void delete(List<TrackedConnection> connections) throws IOException {
    List<NetlinkRequest> deletions = connections.stream().map(ConntrackSocket::deletion).toList();
    for (NetlinkResponse response : socket.exchange(deletions)) {
      Optional<NetlinkException> error = response.error();
      if (error.isPresent() && !error.get().is(Errno.ENOENT)) {
        throw error.get();
      }
    }
  }

  private static NetlinkRequest deletion(TrackedConnection connection) {
    NetlinkRequest deletion =
        request(
                ConntrackConstants.IPCTNL_MSG_CT_DELETE,
                0,
                connection.family(),
                "delete a connection")
            .bytes(ConntrackConstants.CTA_TUPLE_ORIG, connection.key().tuple().toArray());
    connection
        .key()
        .zone()
        .ifPresent(zone -> deletion.bytes(ConntrackConstants.CTA_ZONE, zone.toArray()));
    return deletion;
  }

  /**
   * Lists the connections of a protocol. The kernel filters them by protocol and, if there is only
   * one, by port (ConntrackConstants.CTA_FILTER, Linux 5.8 and later; earlier kernels list all
   * connections).
   */
  private List<ByteBuffer> list(int family, int protocol, Set<Integer> ports) throws IOException {
    boolean single = ports.size() == 1;
    int port = single ? ports.iterator().next() : 0;
    NetlinkRequest request =
        request(
            ConntrackConstants.IPCTNL_MSG_CT_GET,
            NetlinkConstants.NLM_F_DUMP,
            family,
            "list connections");
    request.nest(
        ConntrackConstants.CTA_TUPLE_ORIG,
        tuple ->
            tuple.nest(
                ConntrackConstants.CTA_TUPLE_PROTO,
                proto ->
                    proto
                        .u8(ConntrackConstants.CTA_PROTO_NUM, protocol)
                        .be16(ConntrackConstants.CTA_PROTO_DST_PORT, port)));
    return socket.execute(filter(request, single ? FILTER_PORT : FILTER_PROTOCOL, 0));
  }

  private static NetlinkRequest request(int message, int flags, int family, String description) {
    int type = ConntrackConstants.NFNL_SUBSYS_CTNETLINK << 8 | message;
    return NetfilterMessages.nfgenmsg(new NetlinkRequest(description, type, flags), family, 0);
  }
}
