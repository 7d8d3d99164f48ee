package cni.netlink.ffm.route;

import static cni.netlink.ffm.NetlinkConstants.NLM_F_CREATE;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_EXCL;

import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.netns.NetNs;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * An interface to be created: what one RTM_NEWLINK can say of it. Everything that is said here
 * costs nothing; the same said afterwards costs a message each, and some of it an RCU grace period.
 */
public final class LinkSpec {
  private final String name;
  private final String kind;
  private int mtu;
  private byte @Nullable [] mac;
  private int master;
  private int index;
  private int lower;
  private int group;
  private int flags;
  private int queues;
  private int txQueueLength = -1;
  private @Nullable NetNs namespace;
  private @Nullable Consumer<NetlinkRequest> data;

  private LinkSpec(String name, String kind) {
    this.name = name;
    this.kind = kind;
  }

  /** An interface of a kind that needs no further data: {@code ifb}, {@code dummy}. */
  public static LinkSpec of(String kind, String name) {
    return new LinkSpec(name, kind);
  }

  /** A bridge. */
  public static LinkSpec bridge(String name) {
    return new LinkSpec(name, "bridge");
  }

  /** A VRF, a device that stands for a routing table. */
  public static LinkSpec vrf(String name, int table) {
    var vrf = new LinkSpec(name, "vrf");
    vrf.data = message -> message.u32(LinkConstants.IFLA_VRF_TABLE, table);
    return vrf;
  }

  /**
   * An interface of its own hardware address on another link.
   *
   * @param on the index of the link that it stands on, in the namespace of the socket
   * @param mode MACVLAN_MODE_*
   * @param broadcastQueue how many broadcasts may wait, 0 for the kernel's default
   */
  public static LinkSpec macvlan(String name, int on, int mode, int broadcastQueue) {
    var macvlan = new LinkSpec(name, "macvlan");
    macvlan.lower = on;
    macvlan.data =
        message -> {
          message.u32(LinkConstants.IFLA_MACVLAN_MODE, mode);
          if (broadcastQueue != 0) {
            message.u32(LinkConstants.IFLA_MACVLAN_BC_QUEUE_LEN, broadcastQueue);
          }
        };
    return macvlan;
  }

  /**
   * An interface that shares the hardware address of another link.
   *
   * @param on the index of the link that it stands on, in the namespace of the socket
   * @param mode IPVLAN_MODE_*
   */
  public static LinkSpec ipvlan(String name, int on, int mode) {
    var ipvlan = new LinkSpec(name, "ipvlan");
    ipvlan.lower = on;
    ipvlan.data =
        message ->
            message
                .u16(LinkConstants.IFLA_IPVLAN_MODE, mode)
                .u16(LinkConstants.IFLA_IPVLAN_FLAGS, 0); // neither private nor vepa
    return ipvlan;
  }

  /**
   * The interface of one VLAN of another link.
   *
   * @param on the index of the link that it stands on, in the namespace of the socket
   */
  public static LinkSpec vlan(String name, int on, int id) {
    var vlan = new LinkSpec(name, "vlan");
    vlan.lower = on;
    vlan.data = message -> message.u16(LinkConstants.IFLA_VLAN_ID, id);
    return vlan;
  }

  /**
   * A pair of interfaces. The peer is created with the name, addresses, MTU and namespace that are
   * said of it, but cannot be up from the start: the kernel answers ENOTCONN.
   *
   * <p>Both have room for the one queue that they use. Otherwise the kernel makes room for one for
   * each processor, uses one all the same, and waits for an RCU grace period at each end to give up
   * the others (veth_init_queues in drivers/net/veth.c): half the time of making the pair.
   */
  public static LinkSpec veth(String name, LinkSpec peer) {
    var veth = new LinkSpec(name, "veth");
    veth.queues = 1;
    peer.queues = 1;
    veth.data =
        message -> message.nest(LinkConstants.VETH_INFO_PEER, nested -> peer.attributes(nested, 0));
    return veth;
  }

  /** One end of a veth, for {@link #veth}. */
  public static LinkSpec peer(String name) {
    return new LinkSpec(name, "");
  }

  /** Has a bridge tell VLANs apart from the start. */
  public LinkSpec vlanFiltering() {
    data = message -> message.u8(LinkConstants.IFLA_BR_VLAN_FILTERING, 1);
    return this;
  }

  /** Its MTU in bytes; 0 leaves it to the kernel. */
  public LinkSpec mtu(int bytes) {
    mtu = bytes;
    return this;
  }

  /** Its hardware address; otherwise the kernel makes one up. */
  public LinkSpec mac(byte[] address) {
    mac = address.clone();
    return this;
  }

  /**
   * Its number. Where it is created in another namespace, the kernel otherwise refuses a name that
   * only the namespace of the socket has (EEXIST): by a number it does not look for the name there.
   * EBUSY if the number is taken.
   */
  public LinkSpec index(int number) {
    index = number;
    return this;
  }

  /** The bridge or bond that it joins. */
  public LinkSpec master(int index) {
    master = index;
    return this;
  }

  /** The length of its transmit queue in packets; otherwise the kernel chooses. */
  public LinkSpec txQueueLength(int packets) {
    txQueueLength = packets;
    return this;
  }

  /** Its group. */
  public LinkSpec group(int number) {
    group = number;
    return this;
  }

  /** Sets it up. */
  public LinkSpec up() {
    flags |= LinkConstants.IFF_UP;
    return this;
  }

  /** The namespace that it is created in, which must stay open until the request has been sent. */
  public LinkSpec inNamespace(NetNs target) {
    namespace = target;
    return this;
  }

  /** The request that creates it; EEXIST if the name is taken. */
  public NetlinkRequest request() {
    var message =
        new NetlinkRequest(
            "create " + kind + " \"" + name + "\"",
            RtnetlinkConstants.RTM_NEWLINK,
            NLM_F_CREATE | NLM_F_EXCL);
    attributes(message, flags);
    message.nest(
        LinkConstants.IFLA_LINKINFO,
        info -> {
          info.unterminatedString(LinkConstants.IFLA_INFO_KIND, kind);
          if (data != null) {
            info.nest(LinkConstants.IFLA_INFO_DATA, data);
          }
        });
    return message;
  }

  private void attributes(NetlinkRequest message, int ifiFlags) {
    LinkRequests.ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, index, ifiFlags, ifiFlags);
    if (lower != 0) {
      message.u32(LinkConstants.IFLA_LINK, lower);
    }
    message.string(LinkConstants.IFLA_IFNAME, name);
    if (mtu != 0) {
      message.u32(LinkConstants.IFLA_MTU, mtu);
    }
    if (queues != 0) {
      message.u32(LinkConstants.IFLA_NUM_TX_QUEUES, queues);
      message.u32(LinkConstants.IFLA_NUM_RX_QUEUES, queues);
    }
    if (txQueueLength >= 0) {
      message.u32(LinkConstants.IFLA_TXQLEN, txQueueLength);
    }
    if (mac != null) {
      message.bytes(LinkConstants.IFLA_ADDRESS, mac);
    }
    if (master != 0) {
      message.u32(LinkConstants.IFLA_MASTER, master);
    }
    if (group != 0) {
      message.u32(LinkConstants.IFLA_GROUP, group);
    }
    if (namespace != null) {
      message.u32(LinkConstants.IFLA_NET_NS_FD, namespace.fd());
    }
  }
}
