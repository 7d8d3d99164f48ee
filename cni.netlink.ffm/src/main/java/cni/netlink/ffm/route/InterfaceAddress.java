package cni.netlink.ffm.route;

import static cni.netlink.ffm.Netlink.NLM_F_CREATE;
import static cni.netlink.ffm.Netlink.NLM_F_DUMP;
import static cni.netlink.ffm.Netlink.NLM_F_EXCL;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkMessage;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;

/**
 * An address of a link (struct ifaddrmsg of linux/if_addr.h).
 *
 * @param link the link's index
 * @param address the address
 * @param prefix the length of its network's prefix, in bits
 * @param flags IFA_F_*
 */
public record InterfaceAddress(int link, InetAddress address, int prefix, int flags) {
  /** sizeof(struct ifaddrmsg): family u8, prefix u8, flags u8, scope u8, link u32. */
  private static final int IFADDRMSG = 8;

  /** The longest IPv4 prefix whose network has a broadcast address. */
  private static final int LONGEST_BROADCAST_PREFIX = 30;

  /** An address without flags. */
  public InterfaceAddress(int link, InetAddress address, int prefix) {
    this(link, address, prefix, 0);
  }

  /** Whether duplicate address detection has not ended yet. */
  public boolean isTentative() {
    return (flags & RtNetlink.IFA_F_TENTATIVE) != 0;
  }

  /** Whether duplicate address detection found that someone else has it. */
  public boolean isDuplicate() {
    return (flags & RtNetlink.IFA_F_DADFAILED) != 0;
  }

  /** The request that adds it; EEXIST if the link has it. */
  public NetlinkMessage addRequest() {
    return request("add", RtNetlink.RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  }

  /** The request that deletes it; EADDRNOTAVAIL if the link does not have it. */
  public NetlinkMessage deleteRequest() {
    return request("delete", RtNetlink.RTM_DELADDR, 0);
  }

  /** Asks for the addresses of a link, both families. */
  public static NetlinkMessage listRequest(int link) {
    var message =
        new NetlinkMessage("list addresses of link " + link, RtNetlink.RTM_GETADDR, NLM_F_DUMP);
    return message.u8(RtNetlink.AF_UNSPEC).u8(0).u8(0).u8(0).u32(link);
  }

  private NetlinkMessage request(String verb, int type, int requestFlags) {
    byte[] bytes = address.getAddress();
    var message =
        new NetlinkMessage(
            verb + " address " + address.getHostAddress() + "/" + prefix + " of link " + link,
            type,
            requestFlags);
    message.u8(Messages.family(address)).u8(prefix).u8(0).u8(RtNetlink.RT_SCOPE_UNIVERSE).u32(link);
    message.bytes(RtNetlink.IFA_LOCAL, bytes).bytes(RtNetlink.IFA_ADDRESS, bytes);
    if (address instanceof Inet4Address && prefix <= LONGEST_BROADCAST_PREFIX) {
      int host = -1 >>> prefix;
      int broadcast = ByteBuffer.wrap(bytes).getInt() | host;
      message.bytes(RtNetlink.IFA_BROADCAST, ByteBuffer.allocate(4).putInt(broadcast).array());
    }
    if (flags != 0) {
      message.u32(RtNetlink.IFA_FLAGS, flags);
    }
    return message;
  }

  static InterfaceAddress read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = Messages.attributes(message, IFADDRMSG);
    int address = attributes.has(RtNetlink.IFA_LOCAL) ? RtNetlink.IFA_LOCAL : RtNetlink.IFA_ADDRESS;
    byte[] bytes = attributes.bytes(address).orElseThrow(InterfaceAddress::noAddress);
    return new InterfaceAddress(
        message.getInt(4),
        Messages.address(bytes),
        Byte.toUnsignedInt(message.get(1)),
        attributes.u32(RtNetlink.IFA_FLAGS).orElse(Byte.toUnsignedInt(message.get(2))));
  }

  private static MalformedMessageException noAddress() {
    return new MalformedMessageException("an address message without address");
  }
}
