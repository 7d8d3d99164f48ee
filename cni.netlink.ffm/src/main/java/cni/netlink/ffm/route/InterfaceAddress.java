// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.NetlinkConstants.NLM_F_CREATE;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_DUMP;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_EXCL;
import static cni.netlink.ffm.route.RtnetlinkConstants.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkRequest;
import java.net.InetAddress;
import java.nio.ByteBuffer;

/**
 * An IP address assigned to a link (struct ifaddrmsg of linux/if_addr.h).
 *
 * @param link the link's index
 * @param address the address
 * @param prefix the length of its network's prefix, in bits
 * @param flags IFA_F_*
 */
public record InterfaceAddress(int link, InetAddress address, int prefix, int flags) {
  /** sizeof(struct ifaddrmsg): family u8, prefix u8, flags u8, scope u8, link u32. */
  private static final int IFADDRMSG = 8;

  /** The longest IPv4 prefix whose network has a broadcast address (RFC 3021). */
  private static final int MAX_BROADCAST_PREFIX = 30;

  /** Creates an address without flags. */
  public InterfaceAddress(int link, InetAddress address, int prefix) {
    this(link, address, prefix, 0);
  }

  /** Returns whether duplicate address detection has not finished yet. */
  public boolean isTentative() {
    return (flags & IFA_F_TENTATIVE) != 0;
  }

  /** Returns whether duplicate address detection found the address on another host. */
  public boolean isDuplicate() {
    return (flags & IFA_F_DADFAILED) != 0;
  }

  /** Returns a request that adds the address. It fails with EEXIST if the link has it already. */
  public NetlinkRequest addRequest() {
    return request("add", RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  }

  /**
   * Returns a request that deletes the address. It fails with EADDRNOTAVAIL if the link does not
   * have it.
   */
  public NetlinkRequest deleteRequest() {
    return request("delete", RTM_DELADDR, 0);
  }

  /**
   * Returns a request for the IPv4 and IPv6 addresses of a link.
   *
   * @param link the link's index
   */
  public static NetlinkRequest listRequest(int link) {
    var message = new NetlinkRequest("list addresses of link " + link, RTM_GETADDR, NLM_F_DUMP);
    return message.u8(AF_UNSPEC).u8(0).u8(0).u8(0).u32(link);
  }

  private NetlinkRequest request(String verb, int type, int requestFlags) {
    byte[] bytes = address.getAddress();
    var message =
        new NetlinkRequest(
            verb + " address " + address.getHostAddress() + "/" + prefix + " of link " + link,
            type,
            requestFlags);
    // As the kernel's own address of the loopback interface, which has no broadcast address either.
    boolean loopback = address.isLoopbackAddress();
    int scope = loopback ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
    message.u8(IpFamily.of(address).number()).u8(prefix).u8(0).u8(scope).u32(link);
    message.bytes(IFA_LOCAL, bytes).bytes(IFA_ADDRESS, bytes);
    boolean v4 = IpFamily.of(address) == IpFamily.IPV4;
    if (v4 && prefix <= MAX_BROADCAST_PREFIX && !loopback) {
      int hostMask = -1 >>> prefix;
      int broadcast = ByteBuffer.wrap(bytes).getInt() | hostMask;
      message.bytes(IFA_BROADCAST, ByteBuffer.allocate(4).putInt(broadcast).array());
    }
    if (flags != 0) {
      message.u32(IFA_FLAGS, flags);
    }
    return message;
  }

  static InterfaceAddress read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = RouteMessages.attributes(message, IFADDRMSG);
    int address = attributes.has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS;
    byte[] bytes = attributes.bytes(address).orElseThrow(InterfaceAddress::noAddress);
    return new InterfaceAddress(
        message.getInt(4),
        RouteMessages.address(bytes),
        Byte.toUnsignedInt(message.get(1)),
        attributes.u32(IFA_FLAGS).orElse(Byte.toUnsignedInt(message.get(2))));
  }

  private static MalformedMessageException noAddress() {
    return new MalformedMessageException("an address message without address");
  }
}
