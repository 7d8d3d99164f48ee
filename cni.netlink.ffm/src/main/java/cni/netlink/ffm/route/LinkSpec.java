// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.NetlinkConstants.NLM_F_CREATE;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_EXCL;
import static cni.netlink.ffm.route.LinkConstants.*;

import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.netns.NetNs;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The specification of an interface to create: the properties that one RTM_NEWLINK message can set.
 * A property set at creation costs nothing; changed later, it costs another message and, in some
 * cases, an RCU grace period.
 */
public final class LinkSpec {
  private final String name;
  private final String kind;
  private int mtu;
  private byte @Nullable [] mac;
  private int master;
  private int index;
  private int parent;
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

  /** Specifies a link of a kind that needs no settings, such as {@code ifb} or {@code dummy}. */
  public static LinkSpec of(String kind, String name) {
    return new LinkSpec(name, kind);
  }

  /** Specifies a bridge. */
  public static LinkSpec bridge(String name) {
    return new LinkSpec(name, "bridge");
  }

  /**
   * Specifies a VRF.
   *
   * @param table the number of its routing table
   */
  public static LinkSpec vrf(String name, int table) {
    var vrf = new LinkSpec(name, "vrf");
    vrf.data = message -> message.u32(IFLA_VRF_TABLE, table);
    return vrf;
  }

  /**
   * Specifies a macvlan: an interface with its own hardware address on a parent link.
   *
   * @param parent the index of the parent link, in the namespace of the socket
   * @param mode MACVLAN_MODE_*
   * @param broadcastQueue the length of the queue for broadcasts, 0 for the kernel's default
   */
  public static LinkSpec macvlan(String name, int parent, int mode, int broadcastQueue) {
    var macvlan = new LinkSpec(name, "macvlan");
    macvlan.parent = parent;
    macvlan.data =
        message -> {
          message.u32(IFLA_MACVLAN_MODE, mode);
          if (broadcastQueue != 0) {
            message.u32(IFLA_MACVLAN_BC_QUEUE_LEN, broadcastQueue);
          }
        };
    return macvlan;
  }

  /**
   * Specifies an ipvlan: an interface that shares the hardware address of a parent link.
   *
   * @param parent the index of the parent link, in the namespace of the socket
   * @param mode IPVLAN_MODE_*
   */
  public static LinkSpec ipvlan(String name, int parent, int mode) {
    var ipvlan = new LinkSpec(name, "ipvlan");
    ipvlan.parent = parent;
    ipvlan.data =
        message ->
            message
                .u16(IFLA_IPVLAN_MODE, mode)
                .u16(IFLA_IPVLAN_FLAGS, 0); // neither private nor vepa
    return ipvlan;
  }

  /**
   * Specifies the interface of one VLAN of a parent link.
   *
   * @param parent the index of the parent link, in the namespace of the socket
   * @param id the VLAN id
   */
  public static LinkSpec vlan(String name, int parent, int id) {
    var vlan = new LinkSpec(name, "vlan");
    vlan.parent = parent;
    vlan.data = message -> message.u16(IFLA_VLAN_ID, id);
    return vlan;
  }

  /**
   * Specifies a veth pair. The peer is created with its own name, hardware address, MTU and
   * namespace, but cannot be set up in the same message (ENOTCONN).
   *
   * <p>Both ends get one transmit and one receive queue. By default the kernel allocates a queue
   * for each processor, reduces them to one, and waits for an RCU grace period at each end to do so
   * (veth_init_queues in drivers/net/veth.c), which takes half the time of creating the pair.
   *
   * @param peer the other end, see {@link #peer}
   */
  public static LinkSpec veth(String name, LinkSpec peer) {
    var veth = new LinkSpec(name, "veth");
    veth.queues = 1;
    peer.queues = 1;
    veth.data = message -> message.nest(VETH_INFO_PEER, nested -> peer.attributes(nested, 0));
    return veth;
  }

  /** Specifies the other end of a veth pair, for {@link #veth}. */
  public static LinkSpec peer(String name) {
    return new LinkSpec(name, "");
  }

  /** Enables VLAN filtering of a bridge. */
  public LinkSpec vlanFiltering() {
    data = message -> message.u8(IFLA_BR_VLAN_FILTERING, 1);
    return this;
  }

  /** Sets the MTU in bytes; 0 leaves it to the kernel. */
  public LinkSpec mtu(int bytes) {
    mtu = bytes;
    return this;
  }

  /** Sets the hardware address; by default the kernel generates one. */
  public LinkSpec mac(byte[] address) {
    mac = address.clone();
    return this;
  }

  /**
   * Sets the interface index. Creation fails with EBUSY if the index is taken.
   *
   * <p>A link that is created in another namespace needs one if the namespace of the socket has a
   * link with the same name: without an index the kernel looks the name up in the namespace of the
   * socket first, and the creation fails with EEXIST.
   */
  public LinkSpec index(int index) {
    this.index = index;
    return this;
  }

  /** Adds the link to the bridge or bond with the given index. */
  public LinkSpec master(int index) {
    master = index;
    return this;
  }

  /** Sets the length of the transmit queue in packets; by default the kernel chooses. */
  public LinkSpec txQueueLength(int packets) {
    txQueueLength = packets;
    return this;
  }

  /** Sets the link group. */
  public LinkSpec group(int number) {
    group = number;
    return this;
  }

  /** Creates the link in the up state. */
  public LinkSpec up() {
    flags |= IFF_UP;
    return this;
  }

  /**
   * Creates the link in another namespace.
   *
   * @param target the namespace, which has to stay open until the request has been sent
   */
  public LinkSpec inNamespace(NetNs target) {
    namespace = target;
    return this;
  }

  /** Returns the request. It fails with EEXIST if the name is taken. */
  public NetlinkRequest request() {
    var message =
        new NetlinkRequest(
            "create " + kind + " \"" + name + "\"",
            RtnetlinkConstants.RTM_NEWLINK,
            NLM_F_CREATE | NLM_F_EXCL);
    attributes(message, flags);
    message.nest(
        IFLA_LINKINFO,
        info -> {
          info.unterminatedString(IFLA_INFO_KIND, kind);
          if (data != null) {
            info.nest(IFLA_INFO_DATA, data);
          }
        });
    return message;
  }

  private void attributes(NetlinkRequest message, int ifiFlags) {
    LinkRequests.ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, index, ifiFlags, ifiFlags);
    if (parent != 0) {
      message.u32(IFLA_LINK, parent);
    }
    message.string(IFLA_IFNAME, name);
    if (mtu != 0) {
      message.u32(IFLA_MTU, mtu);
    }
    if (queues != 0) {
      message.u32(IFLA_NUM_TX_QUEUES, queues);
      message.u32(IFLA_NUM_RX_QUEUES, queues);
    }
    if (txQueueLength >= 0) {
      message.u32(IFLA_TXQLEN, txQueueLength);
    }
    if (mac != null) {
      message.bytes(IFLA_ADDRESS, mac);
    }
    if (master != 0) {
      message.u32(IFLA_MASTER, master);
    }
    if (group != 0) {
      message.u32(IFLA_GROUP, group);
    }
    if (namespace != null) {
      message.u32(IFLA_NET_NS_FD, namespace.fd());
    }
  }
}
