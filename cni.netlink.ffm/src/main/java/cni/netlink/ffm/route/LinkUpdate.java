package cni.netlink.ffm.route;

import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.netns.NetNs;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * A change of several properties of a link in one message. The kernel takes them one after the
 * other: where it refuses one, those before it may have been changed.
 */
public final class LinkUpdate {
  private final int index;
  private final List<Consumer<NetlinkRequest>> attributes = new ArrayList<>();
  private int flags;
  private int mask;

  /** Changes nothing yet. */
  public LinkUpdate(int index) {
    this.index = index;
  }

  /** Its hardware address; some drivers want the link down for that. */
  public LinkUpdate mac(byte[] address) {
    byte[] copy = address.clone();
    attributes.add(message -> message.bytes(LinkConstants.IFLA_ADDRESS, copy));
    return this;
  }

  /** Its MTU in bytes. */
  public LinkUpdate mtu(int bytes) {
    attributes.add(message -> message.u32(LinkConstants.IFLA_MTU, bytes));
    return this;
  }

  /** The length of its transmit queue in packets. */
  public LinkUpdate txQueueLength(int packets) {
    attributes.add(message -> message.u32(LinkConstants.IFLA_TXQLEN, packets));
    return this;
  }

  /** Its name; the link has to be down, unless this is what it is called already. */
  public LinkUpdate name(String name) {
    attributes.add(message -> message.string(LinkConstants.IFLA_IFNAME, name));
    return this;
  }

  /** What is written on it, up to 255 bytes; the empty string wipes it off. */
  public LinkUpdate alias(String alias) {
    attributes.add(message -> message.unterminatedString(LinkConstants.IFLA_IFALIAS, alias));
    return this;
  }

  /** The bridge or bond that it joins. */
  public LinkUpdate master(int master) {
    attributes.add(message -> message.u32(LinkConstants.IFLA_MASTER, master));
    return this;
  }

  /**
   * The namespace that it goes to, where it is down at first; that has to stay open until the
   * request has been sent. A name given here is the one it gets there, even if its present name is
   * taken there.
   */
  public LinkUpdate moveTo(NetNs target) {
    attributes.add(message -> message.u32(LinkConstants.IFLA_NET_NS_FD, target.fd()));
    return this;
  }

  /** Whether it is up. */
  public LinkUpdate up(boolean on) {
    return flag(LinkConstants.IFF_UP, on);
  }

  /** Whether it takes every packet. */
  public LinkUpdate promiscuous(boolean on) {
    return flag(LinkConstants.IFF_PROMISC, on);
  }

  /** Whether it takes every multicast packet. */
  public LinkUpdate allMulticast(boolean on) {
    return flag(LinkConstants.IFF_ALLMULTI, on);
  }

  private LinkUpdate flag(int flag, boolean on) {
    mask |= flag;
    flags = on ? flags | flag : flags & ~flag;
    return this;
  }

  /** Whether anything is to be changed. */
  public boolean isEmpty() {
    return attributes.isEmpty() && mask == 0;
  }

  /** The request that does it; ENODEV if there is no such link. */
  public NetlinkRequest request() {
    var message = new NetlinkRequest("change link " + index, RtnetlinkConstants.RTM_NEWLINK, 0);
    LinkRequests.ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, index, flags, mask);
    attributes.forEach(attribute -> attribute.accept(message));
    return message;
  }
}
