// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.tc;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * A filter of a link: it classifies packets or redirects them to another link.
 *
 * @param kind the kind, such as {@code u32}
 * @param priority the priority; filters with lower priorities are evaluated first
 * @param protocol the protocol of the packets, ETH_P_*
 * @param handle the number of the filter among those of its qdisc and priority; 0 if the kernel
 *     chooses it
 * @param redirect the index of the link that packets are redirected to, 0 for none
 * @param flow the handle of the class that packets are put into, 0 for none; of u32 only
 * @param keys what packets have to match, of u32 only
 */
public record TcFilter(
    String kind,
    int priority,
    int protocol,
    int handle,
    int redirect,
    int flow,
    List<U32Key> keys) {
  /**
   * A comparison of 32 bits of the packet (struct tc_u32_key).
   *
   * @param mask the bits that are compared
   * @param value their value
   * @param offset the offset of the bits in the packet, in bytes
   */
  public record U32Key(int mask, int value, int offset) {}

  /** The flow of the filters of {@link #redirectIngress}, 1:1, which has no effect there. */
  public static final int REDIRECT_FLOW = TcConstants.handle(1, 1);

  /**
   * sizeof(struct tc_u32_sel) without keys: flags u8, offshift u8, nkeys u8 and six more fields.
   */
  private static final int TC_U32_SEL = 16;

  /** sizeof(struct tc_u32_key): mask be32, val be32, off s32, offmask s32. */
  private static final int TC_U32_KEY = 16;

  /** The bits of a handle of u32 that number the filter; a hash table has none (TC_U32_NODE). */
  private static final int U32_NODE = 0xfff;

  // u32
  private static final int TCA_U32_CLASSID = 1;
  private static final int TCA_U32_SEL = 5;
  private static final int TCA_U32_ACT = 7;
  private static final byte TC_U32_TERMINAL = 1;

  // matchall and flower
  private static final int TCA_MATCHALL_ACT = 2;
  private static final int TCA_FLOWER_ACT = 3;
  private static final int TCA_FLOWER_KEY_ETH_TYPE = 8;
  private static final int TCA_FLOWER_KEY_IPV4_DST = 12;
  private static final int TCA_FLOWER_KEY_IPV6_DST = 16;

  // actions
  private static final int TCA_ACT_KIND = 1;
  private static final int TCA_ACT_OPTIONS = 2;
  private static final int TCA_MIRRED_PARMS = 2;
  private static final int TCA_EGRESS_REDIR = 1;
  private static final int TC_ACT_OK = 0;
  private static final int TC_ACT_STOLEN = 4;

  /**
   * sizeof(struct tc_mirred): index u32, capab u32, action s32, two counts s32, eaction s32, u32.
   */
  private static final int TC_MIRRED = 28;

  // offsets of the addresses in the IPv4 and IPv6 headers
  private static final int IPV4_SOURCE = 12;
  private static final int IPV4_DESTINATION = 16;
  private static final int IPV6_SOURCE = 8;
  private static final int IPV6_DESTINATION = 24;

  /**
   * Returns a request that adds a filter to the ingress qdisc of a link that redirects all packets
   * to the egress of another, tc-u32(8) and tc-mirred(8). Like the filter of the reference plugin
   * it has two actions, of which the second is never reached.
   *
   * @param target the index of the other link
   */
  public static NetlinkRequest redirectIngress(int link, int priority, int target) {
    int parent = TcConstants.INGRESS_HANDLE;
    return add("u32", link, parent, priority, TcConstants.ALL_PROTOCOLS)
        .nest(
            TcConstants.TCA_OPTIONS,
            u32 ->
                u32.bytes(TCA_U32_SEL, selector(List.of(new U32Key(0, 0, 0))))
                    .u32(TCA_U32_CLASSID, REDIRECT_FLOW)
                    .nest(
                        TCA_U32_ACT,
                        actions ->
                            actions
                                .nest(1, action -> redirect(action, TC_ACT_STOLEN, target))
                                .nest(2, action -> redirect(action, TC_ACT_OK, target))));
  }

  /**
   * Returns a request that adds a filter that redirects all packets to the egress of another link,
   * tc-matchall(8) and tc-mirred(8).
   *
   * @param parent the handle of the qdisc or class
   * @param target the index of the other link
   */
  public static NetlinkRequest redirectAll(int link, int parent, int priority, int target) {
    return add("matchall", link, parent, priority, TcConstants.ALL_PROTOCOLS)
        .nest(
            TcConstants.TCA_OPTIONS,
            matchall ->
                matchall.nest(
                    TCA_MATCHALL_ACT,
                    actions -> actions.nest(1, action -> redirect(action, TC_ACT_STOLEN, target))));
  }

  /**
   * Returns a request that adds a filter that redirects packets with a destination address to the
   * egress of another link, tc-flower(8) and tc-mirred(8).
   *
   * @param parent the handle of the qdisc or class
   * @param target the index of the other link
   */
  public static NetlinkRequest redirectDestination(
      int link, int parent, int priority, InetAddress destination, int target) {
    IpFamily family = IpFamily.of(destination);
    int protocol = protocol(family);
    int attribute = family == IpFamily.IPV4 ? TCA_FLOWER_KEY_IPV4_DST : TCA_FLOWER_KEY_IPV6_DST;
    return add("flower", link, parent, priority, protocol)
        .nest(
            TcConstants.TCA_OPTIONS,
            flower ->
                flower
                    .nest(
                        TCA_FLOWER_ACT,
                        actions ->
                            actions.nest(1, action -> redirect(action, TC_ACT_STOLEN, target)))
                    .be16(TCA_FLOWER_KEY_ETH_TYPE, protocol)
                    .bytes(attribute, destination.getAddress()));
  }

  /**
   * Returns a filter that puts packets from or to a network into a class, tc-u32(8).
   *
   * @param prefix the length of the network's prefix, in bits
   * @param source whether to compare the source address, rather than the destination address
   * @param flow the handle of the class
   */
  public static TcFilter classifier(
      int priority, InetAddress network, int prefix, boolean source, int flow) {
    IpFamily family = IpFamily.of(network);
    int addressOffset =
        switch (family) {
          case IPV4 -> source ? IPV4_SOURCE : IPV4_DESTINATION;
          case IPV6 -> source ? IPV6_SOURCE : IPV6_DESTINATION;
        };
    List<U32Key> keys = new ArrayList<>();
    ByteBuffer address = ByteBuffer.wrap(network.getAddress());
    for (int at = 0; at < address.limit() && 8 * at < prefix; at += 4) {
      int bits = Math.min(32, prefix - 8 * at);
      int mask = -1 << (32 - bits);
      keys.add(new U32Key(mask, address.getInt(at) & mask, addressOffset + at));
    }
    if (keys.isEmpty()) {
      keys.add(new U32Key(0, 0, 0));
    }
    return new TcFilter("u32", priority, protocol(family), 0, 0, flow, keys);
  }

  /**
   * Returns a request that adds a filter of {@link #classifier}; the kernel chooses its handle.
   *
   * @param parent the handle of the qdisc
   */
  public NetlinkRequest addRequest(int link, int parent) {
    return add(kind, link, parent, priority, protocol)
        .nest(
            TcConstants.TCA_OPTIONS,
            u32 -> u32.bytes(TCA_U32_SEL, selector(keys)).u32(TCA_U32_CLASSID, flow));
  }

  /**
   * Deletes filters of a link. With the last filter of a priority the priority itself is deleted,
   * of which the hash table of u32 would remain.
   *
   * @param parent the handle of the qdisc
   * @param test selects the filters, whose handles depend on the order in which they were added
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public static void delete(RouteSocket routing, int link, int parent, Predicate<TcFilter> test)
      throws IOException {
    List<TcFilter> all = list(routing, link, parent);
    Set<Integer> kept = new HashSet<>();
    all.stream().filter(test.negate()).forEach(it -> kept.add(it.priority()));
    Set<Integer> deleted = new HashSet<>();
    for (TcFilter it : all) {
      if (test.test(it) && (kept.contains(it.priority()) || deleted.add(it.priority()))) {
        int handle = kept.contains(it.priority()) ? it.handle() : 0; // 0: all of the priority
        routing.execute(it.deleteRequest(link, parent, handle));
      }
    }
  }

  /**
   * Returns a request that deletes the filter with this handle. It fails with ENOENT if there is
   * none.
   *
   * @param parent the handle of the qdisc
   */
  public NetlinkRequest deleteRequest(int link, int parent) {
    return deleteRequest(link, parent, handle);
  }

  private NetlinkRequest deleteRequest(int link, int parent, int deletedHandle) {
    var message =
        new NetlinkRequest("delete filter of link " + link, TcConstants.RTM_DELTFILTER, 0);
    return TcMessages.tcmsg(message, link, deletedHandle, parent, info(priority, protocol))
        .string(TcConstants.TCA_KIND, kind);
  }

  /** Returns whether this filter and another do the same to the same packets. */
  public boolean isEquivalentTo(TcFilter other) {
    return hasSameMatch(other) && redirect == other.redirect && flow == other.flow;
  }

  /** Returns whether this filter and another match the same packets, at the same priority. */
  public boolean hasSameMatch(TcFilter other) {
    return kind.equals(other.kind)
        && priority == other.priority
        && protocol == other.protocol
        && keys.equals(other.keys);
  }

  private static int protocol(IpFamily family) {
    return family == IpFamily.IPV4 ? TcConstants.IPV4 : TcConstants.IPV6;
  }

  private static byte[] selector(List<U32Key> keys) {
    ByteBuffer selector = ByteBuffer.allocate(TC_U32_SEL + TC_U32_KEY * keys.size());
    selector.put(0, TC_U32_TERMINAL).put(2, (byte) keys.size()).position(TC_U32_SEL);
    for (U32Key key : keys) {
      selector.putInt(key.mask()).putInt(key.value());
      selector.order(ByteOrder.nativeOrder()).putInt(key.offset()).putInt(0);
      selector.order(ByteOrder.BIG_ENDIAN);
    }
    return selector.array();
  }

  private static void redirect(NetlinkRequest action, int verdict, int target) {
    ByteBuffer mirred = ByteBuffer.allocate(TC_MIRRED).order(ByteOrder.nativeOrder());
    mirred.putInt(8, verdict).putInt(20, TCA_EGRESS_REDIR).putInt(24, target);
    action
        .string(TCA_ACT_KIND, "mirred")
        .nest(TCA_ACT_OPTIONS, options -> options.bytes(TCA_MIRRED_PARMS, mirred.array()));
  }

  private static NetlinkRequest add(String kind, int link, int parent, int priority, int protocol) {
    String description = "add filter " + kind + " to link " + link;
    return TcMessages.createRequest(
            description, TcConstants.RTM_NEWTFILTER, link, 0, parent, info(priority, protocol))
        .string(TcConstants.TCA_KIND, kind);
  }

  private static int info(int priority, int protocol) {
    return priority << 16 | Short.toUnsignedInt(networkOrder(protocol));
  }

  private static short networkOrder(int number) {
    return ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN
        ? (short) number
        : Short.reverseBytes((short) number);
  }

  /**
   * Returns the filters of a qdisc or class, without the hash tables of u32.
   *
   * @param link the link's index
   * @param parent the handle of the qdisc or class
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public static List<TcFilter> list(RouteSocket routing, int link, int parent) throws IOException {
    var request =
        new NetlinkRequest(
            "list filters of link " + link,
            TcConstants.RTM_GETTFILTER,
            NetlinkConstants.NLM_F_DUMP);
    List<TcFilter> filters = new ArrayList<>();
    for (ByteBuffer message : routing.query(TcMessages.tcmsg(request, link, 0, parent, 0))) {
      TcFilter filter = read(message);
      if (!filter.kind().equals("u32") || (filter.handle() & U32_NODE) != 0) {
        filters.add(filter);
      }
    }
    return filters;
  }

  static TcFilter read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = TcMessages.attributes(message);
    int info = message.getInt(16);
    String kind = attributes.string(TcConstants.TCA_KIND).orElse("");
    Attributes options = attributes.nested(TcConstants.TCA_OPTIONS).orElse(Attributes.NONE);
    int attribute =
        switch (kind) {
          case "u32" -> TCA_U32_ACT;
          case "matchall" -> TCA_MATCHALL_ACT;
          case "flower" -> TCA_FLOWER_ACT;
          default -> 0;
        };
    boolean isU32 = kind.equals("u32");
    return new TcFilter(
        kind,
        info >>> 16,
        Short.toUnsignedInt(networkOrder((short) info)),
        message.getInt(8),
        readRedirect(options, attribute),
        isU32 ? options.u32(TCA_U32_CLASSID).orElse(0) : 0,
        isU32 ? readKeys(options.bytes(TCA_U32_SEL).orElse(new byte[TC_U32_SEL])) : List.of());
  }

  private static List<U32Key> readKeys(byte[] selector) throws MalformedMessageException {
    int count = selector.length < TC_U32_SEL ? -1 : Byte.toUnsignedInt(selector[2]);
    if (count < 0 || selector.length < TC_U32_SEL + TC_U32_KEY * count) {
      throw new MalformedMessageException("a u32 selector of " + selector.length + " bytes");
    }
    List<U32Key> keys = new ArrayList<>(count);
    for (int at = TC_U32_SEL; keys.size() < count; at += TC_U32_KEY) {
      ByteBuffer key = ByteBuffer.wrap(selector, at, TC_U32_KEY);
      int mask = key.getInt();
      int value = key.getInt();
      keys.add(new U32Key(mask, value, key.order(ByteOrder.nativeOrder()).getInt()));
    }
    return keys;
  }

  private static int readRedirect(Attributes options, int attribute)
      throws MalformedMessageException {
    Optional<Attributes> actions = attribute == 0 ? Optional.empty() : options.nested(attribute);
    Optional<Attributes> first = actions.isEmpty() ? Optional.empty() : actions.get().nested(1);
    Optional<Attributes> parameters =
        first.isEmpty() || !first.get().string(TCA_ACT_KIND).orElse("").equals("mirred")
            ? Optional.empty()
            : first.get().nested(TCA_ACT_OPTIONS);
    byte[] mirred =
        parameters.isEmpty()
            ? new byte[0]
            : parameters.get().bytes(TCA_MIRRED_PARMS).orElse(new byte[0]);
    return mirred.length < TC_MIRRED
        ? 0
        : ByteBuffer.wrap(mirred).order(ByteOrder.nativeOrder()).getInt(24);
  }
}
