package cni.netlink.ffm.tc;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A filter of a link: which packets it is for, and what becomes of them.
 *
 * @param kind such as {@code u32}
 * @param priority lower comes first
 * @param protocol ETH_P_*
 * @param redirect the index of the link that it sends packets to, 0 for none
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

  /** Where the addresses are in the header of a packet. */
  private static final int V4_SOURCE = 12;

  private static final int V4_DESTINATION = 16;
  private static final int V6_SOURCE = 8;
  private static final int V6_DESTINATION = 24;

  /**
   * A request for a filter that sends everything that comes in by a link out by another one,
   * tc-u32(8) and tc-mirred(8). There are two actions, as the Go plugins have it, of which the
   * second is never reached.
   *
   * @param priority lower comes first
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

  /** A request for the same with a filter that has no more to it, tc-matchall(8). */
  public static NetlinkRequest redirectAll(int link, int parent, int priority, int target) {
    return add("matchall", link, parent, priority, TcConstants.ALL_PROTOCOLS)
        .nest(
            TcConstants.TCA_OPTIONS,
            matchall ->
                matchall.nest(
                    TCA_MATCHALL_ACT,
                    actions -> actions.nest(1, it -> redirect(it, TC_ACT_STOLEN, target))));
  }

  /** A request for a filter that sends packets to an address out by another link, tc-flower(8). */
  public static NetlinkRequest redirectDestination(
      int link, int parent, int priority, InetAddress destination, int target) {
    boolean v4 = destination instanceof Inet4Address;
    int protocol = v4 ? TcConstants.IPV4 : TcConstants.IPV6;
    return add("flower", link, parent, priority, protocol)
        .nest(
            TcConstants.TCA_OPTIONS,
            flower ->
                flower
                    .nest(
                        TCA_FLOWER_ACT,
                        actions -> actions.nest(1, it -> redirect(it, TC_ACT_STOLEN, target)))
                    .be16(TCA_FLOWER_KEY_ETH_TYPE, protocol)
                    .bytes(
                        v4 ? TCA_FLOWER_KEY_IPV4_DST : TCA_FLOWER_KEY_IPV6_DST,
                        destination.getAddress()));
  }

  /**
   * A request for a filter that puts packets from or to a network into a class.
   *
   * @param source whether the network is where they come from
   * @param flow the class
   */
  public static NetlinkRequest classify(
      int link,
      int parent,
      int priority,
      InetAddress network,
      int prefix,
      boolean source,
      int flow) {
    boolean v4 = network instanceof Inet4Address;
    int offset = v4 ? (source ? V4_SOURCE : V4_DESTINATION) : source ? V6_SOURCE : V6_DESTINATION;
    List<U32Key> keys = new ArrayList<>();
    ByteBuffer address = ByteBuffer.wrap(network.getAddress());
    for (int at = 0; at < address.limit() && 8 * at < prefix; at += 4) {
      int bits = Math.min(32, prefix - 8 * at);
      int mask = -1 << (32 - bits);
      keys.add(new U32Key(mask, address.getInt(at) & mask, offset + at));
    }
    if (keys.isEmpty()) {
      keys.add(new U32Key(0, 0, 0));
    }
    return add("u32", link, parent, priority, v4 ? TcConstants.IPV4 : TcConstants.IPV6)
        .nest(
            TcConstants.TCA_OPTIONS,
            u32 -> u32.bytes(TCA_U32_SEL, selector(keys)).u32(TCA_U32_CLASSID, flow));
  }

  /** A word of the packet that is compared: mask and value as numbers, offset in bytes. */
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
    String what = "add filter " + kind + " to link " + link;
    return TcConstants.createRequest(what, TcConstants.RTM_NEWTFILTER, link, 0, parent, info)
        .string(TcConstants.TCA_KIND, kind);
  }

  private static short networkOrder(int number) {
    return ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN
        ? (short) number
        : Short.reverseBytes((short) number);
  }

  /**
   * The filters of a link's qdisc or class.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public static List<TcFilter> list(RouteSocket routing, int link, int parent) throws IOException {
    var request =
        new NetlinkRequest(
            "list filters of link " + link,
            TcConstants.RTM_GETTFILTER,
            NetlinkConstants.NLM_F_DUMP);
    List<TcFilter> filters = new ArrayList<>();
    for (ByteBuffer message : routing.query(TcConstants.header(request, link, 0, parent, 0))) {
      filters.add(read(message));
    }
    return filters;
  }

  private static TcFilter read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = TcConstants.attributes(message);
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
