// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.route.LinkConstants.*;

import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.netns.NetNs;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * A change of several properties of a link in one RTM_NEWLINK message. The kernel applies them one
 * by one (do_setlink in net/core/rtnetlink.c) and stops at the first that it refuses: properties
 * before that one may have been changed.
 */
public final class LinkUpdate {
  private final int index;
  private final List<Consumer<NetlinkRequest>> attributes = new ArrayList<>();
  private int flags;
  private int mask;

  /**
   * Creates an empty update.
   *
   * @param index the link's index
   */
  public LinkUpdate(int index) {
    this.index = index;
  }

  /** Sets the hardware address. Some drivers require the link to be down. */
  public LinkUpdate mac(byte[] address) {
    byte[] copy = address.clone();
    attributes.add(message -> message.bytes(IFLA_ADDRESS, copy));
    return this;
  }

  /** Sets the MTU in bytes. */
  public LinkUpdate mtu(int bytes) {
    attributes.add(message -> message.u32(IFLA_MTU, bytes));
    return this;
  }

  /** Sets the length of the transmit queue in packets. */
  public LinkUpdate txQueueLength(int packets) {
    attributes.add(message -> message.u32(IFLA_TXQLEN, packets));
    return this;
  }

  /** Sets the name. The link has to be down, unless it has that name already. */
  public LinkUpdate name(String name) {
    attributes.add(message -> message.string(IFLA_IFNAME, name));
    return this;
  }

  /** Sets the alias, up to 255 bytes; the empty string removes it. */
  public LinkUpdate alias(String alias) {
    attributes.add(message -> message.unterminatedString(IFLA_IFALIAS, alias));
    return this;
  }

  /**
   * Adds the link to the bridge, bond or VRF with the given index; 0 removes it from its master.
   */
  public LinkUpdate master(int master) {
    attributes.add(message -> message.u32(IFLA_MASTER, master));
    return this;
  }

  /**
   * Moves the link to another namespace, where it is down at first. If the update sets a name, too,
   * the link arrives with the new name, even if its present name is taken there.
   *
   * @param target the namespace, which has to stay open until the request has been sent
   */
  public LinkUpdate moveTo(NetNs target) {
    attributes.add(message -> message.u32(IFLA_NET_NS_FD, target.fd()));
    return this;
  }

  /** Sets the link up or down. */
  public LinkUpdate up(boolean on) {
    return flag(IFF_UP, on);
  }

  /** Sets promiscuous mode: whether the link receives every packet. */
  public LinkUpdate promiscuous(boolean on) {
    return flag(IFF_PROMISC, on);
  }

  /** Sets whether the link receives every multicast packet. */
  public LinkUpdate allMulticast(boolean on) {
    return flag(IFF_ALLMULTI, on);
  }

  private LinkUpdate flag(int flag, boolean on) {
    mask |= flag;
    flags = on ? flags | flag : flags & ~flag;
    return this;
  }

  /** Returns whether there is nothing to change. */
  public boolean isEmpty() {
    return attributes.isEmpty() && mask == 0;
  }

  /** Returns the request. It fails with ENODEV if there is no such link. */
  public NetlinkRequest request() {
    var message = new NetlinkRequest("change link " + index, RtnetlinkConstants.RTM_NEWLINK, 0);
    LinkRequests.ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, index, flags, mask);
    attributes.forEach(attribute -> attribute.accept(message));
    return message;
  }
}
