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
import java.util.List;
import java.util.Optional;

/**
 * A filter of a link: it classifies packets or redirects them to another link.
 *
 * @param kind the kind, such as {@code u32}
 * @param priority the priority; filters with lower priorities are evaluated first
 * @param protocol the protocol of the packets, ETH_P_*
 * @param redirect the index of the link that packets are redirected to, 0 for none
 */
public record TcFilter(String kind, int priority, int protocol, int redirect) {
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
                    .u32(TCA_U32_CLASSID, TcConstants.handle(1, 1))
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
   * Returns a request that adds a filter that puts packets from or to a network into a class,
   * tc-u32(8).
   *
   * @param parent the handle of the qdisc
   * @param prefix the length of the network's prefix, in bits
   * @param source whether to compare the source address, rather than the destination address
   * @param flow the handle of the class
   */
  public static NetlinkRequest classify(
      int link,
      int parent,
      int priority,
      InetAddress network,
      int prefix,
      boolean source,
      int flow) {
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
    return add("u32", link, parent, priority, protocol(family))
        .nest(
            TcConstants.TCA_OPTIONS,
            u32 -> u32.bytes(TCA_U32_SEL, selector(keys)).u32(TCA_U32_CLASSID, flow));
  }

  private static int protocol(IpFamily family) {
    return family == IpFamily.IPV4 ? TcConstants.IPV4 : TcConstants.IPV6;
  }

  /** A comparison of 32 bits of the packet at an offset in bytes (struct tc_u32_key). */
  private record U32Key(int mask, int value, int offset) {}

  private static byte[] selector(List<U32Key> keys) {
    // struct tc_u32_sel: flags, offshift, nkeys u8, offmask be16, off u16, offoff, hoff s16, hmask
    ByteBuffer selector = ByteBuffer.allocate(16 + 16 * keys.size());
    selector.put(0, TC_U32_TERMINAL).put(2, (byte) keys.size()).position(16);
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
    int info = priority << 16 | Short.toUnsignedInt(networkOrder(protocol));
    String description = "add filter " + kind + " to link " + link;
    return TcMessages.createRequest(description, TcConstants.RTM_NEWTFILTER, link, 0, parent, info)
        .string(TcConstants.TCA_KIND, kind);
  }

  private static short networkOrder(int number) {
    return ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN
        ? (short) number
        : Short.reverseBytes((short) number);
  }

  /**
   * Returns the filters of a qdisc or class.
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
      filters.add(read(message));
    }
    return filters;
  }

  static TcFilter read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = TcMessages.attributes(message);
    int info = message.getInt(16);
    String kind = attributes.string(TcConstants.TCA_KIND).orElse("");
    Optional<Attributes> options = attributes.nested(TcConstants.TCA_OPTIONS);
    int attribute =
        switch (kind) {
          case "u32" -> TCA_U32_ACT;
          case "matchall" -> TCA_MATCHALL_ACT;
          case "flower" -> TCA_FLOWER_ACT;
          default -> 0;
        };
    int redirect = options.isEmpty() ? 0 : readRedirect(options.get(), attribute);
    return new TcFilter(
        kind, info >>> 16, Short.toUnsignedInt(networkOrder((short) info)), redirect);
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
