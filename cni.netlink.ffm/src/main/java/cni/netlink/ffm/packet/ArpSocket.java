// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.packet;

import static cni.netlink.ffm.packet.PacketFilter.instruction;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.netns.NetNs;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * A packet socket, packet(7), that receives the ARP packets of given senders. The kernel discards
 * all other packets, those that the interface itself sends included, before they wake up a reader.
 * Not thread-safe.
 *
 * <p>An open socket keeps its namespace in existence, as every socket does.
 */
public final class ArpSocket implements AutoCloseable {
  private static final int ETH_P_ARP = 0x0806;
  private static final int PACKET_OUTGOING = 4;
  private static final int SO_RCVBUF = 8;

  /** SKF_AD_OFF + SKF_AD_PKTTYPE of linux/filter.h: loads the packet type. */
  private static final int FILTER_PACKET_TYPE = -0x1000 + 4;

  /** The offset of the packet type in struct sockaddr_ll. */
  private static final int PACKET_TYPE = 10;

  /** The receive buffer in bytes: room for some dozens of packets, which bounds a flood's cost. */
  private static final int RECEIVE_BUFFER = 16 * 1024;

  /** How many packets one call receives at most; the others are received by the next. */
  private static final int MAX_PACKETS = 256;

  /** How many addresses the filter distinguishes; a jump leads over at most 255 instructions. */
  private static final int MAX_FILTER_ADDRESSES = 128;

  private final Descriptor descriptor;

  private ArpSocket(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Opens a socket in a namespace.
   *
   * @param linkIndex the index of a link in the namespace; 0 for all links
   * @param senders the IPv4 addresses whose packets are received; of more than 128 the packets of
   *     all senders are
   * @throws KernelException if the namespace cannot be entered or the socket cannot be opened:
   *     EPERM without CAP_NET_RAW; ENODEV if there is no such link
   */
  public static ArpSocket open(NetNs namespace, int linkIndex, Collection<Inet4Address> senders)
      throws KernelException {
    long[] filter = filter(senders);
    return namespace.call(() -> open(linkIndex, filter));
  }

  private static ArpSocket open(int linkIndex, long[] filter) throws KernelException {
    // With protocol 0 the socket receives nothing before it is bound, when it has its filter.
    int type = Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC;
    var descriptor = new Descriptor(Libc.socket(PacketSocket.AF_PACKET, type, 0));
    try (Arena arena = Arena.ofConfined()) {
      PacketFilter.attach(descriptor, filter);
      Libc.setsockopt(descriptor.fd(), Libc.SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
      Libc.bind(descriptor.fd(), PacketSocket.address(arena, ETH_P_ARP, linkIndex));
      return new ArpSocket(descriptor);
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /** Not outgoing, IPv4 over Ethernet, and one of the senders. */
  private static long[] filter(Collection<Inet4Address> senders) {
    int types = ArpPacket.HARDWARE_ETHERNET << 16 | ArpPacket.PROTOCOL_IPV4;
    int lengths = ArpPacket.MAC_LENGTH << 8 | ArpPacket.ADDRESS_LENGTH;
    List<Long> program = new ArrayList<>();
    long drop = instruction(0x06, 0, 0, 0);
    program.add(instruction(0x30, 0, 0, FILTER_PACKET_TYPE));
    program.add(instruction(0x15, 0, 1, PACKET_OUTGOING));
    program.add(drop);
    program.add(instruction(0x20, 0, 0, ArpPacket.HARDWARE_TYPE));
    program.add(instruction(0x15, 1, 0, types));
    program.add(drop);
    program.add(instruction(0x28, 0, 0, ArpPacket.LENGTHS));
    program.add(instruction(0x15, 1, 0, lengths));
    program.add(drop);
    program.add(instruction(0x20, 0, 0, ArpPacket.SENDER_ADDRESS));
    if (senders.size() <= MAX_FILTER_ADDRESSES) {
      int left = senders.size();
      for (Inet4Address it : senders) {
        program.add(instruction(0x15, left--, 0, ByteBuffer.wrap(it.getAddress()).getInt()));
      }
      program.add(drop);
    }
    program.add(instruction(0x06, 0, 0, ArpPacket.LENGTH)); // accept the packet without padding
    return program.stream().mapToLong(Long::longValue).toArray();
  }

  /**
   * Receives the packets that have arrived, without waiting. Packets that are not valid are left
   * out. A link that is down has none, and a link that was removed will have none any more.
   *
   * @throws KernelException if the socket cannot be read
   */
  public List<ArpPacket> receive() throws KernelException {
    List<ArpPacket> packets = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(ArpPacket.LENGTH);
      MemorySegment sender = arena.allocate(PacketSocket.SOCKADDR_LL, 4);
      for (int i = 0; i < MAX_PACKETS; i++) {
        Optional<byte[]> packet = receive(buffer, sender);
        if (packet.isEmpty()) {
          break;
        }
        if (sender.get(JAVA_BYTE, PACKET_TYPE) != PACKET_OUTGOING) {
          ArpPacket.parse(packet.get()).ifPresent(packets::add);
        }
      }
    }
    return packets;
  }

  private Optional<byte[]> receive(MemorySegment buffer, MemorySegment sender)
      throws KernelException {
    try {
      long length = Libc.recvfrom(descriptor.fd(), buffer, Libc.MSG_DONTWAIT, sender);
      return Optional.of(buffer.asSlice(0, length).toArray(JAVA_BYTE));
    } catch (KernelException e) {
      if (e.is(Errno.EAGAIN) || e.is(Errno.EINTR) || e.is(Errno.ENETDOWN)) {
        return Optional.empty(); // ENETDOWN is reported once when the link goes down
      }
      throw e;
    }
  }

  /**
   * Sends a packet to all stations, as an announcement or a probe.
   *
   * @param linkIndex the index of the link
   * @param operation {@link ArpPacket#REQUEST} or {@link ArpPacket#REPLY}
   * @param mac the hardware address that the packet names as its sender's, 6 bytes
   * @param address the IPv4 address that it names as its sender's and its target's
   * @throws KernelException ENETDOWN if the link is down
   */
  public void announce(int linkIndex, int operation, byte[] mac, InetAddress address)
      throws KernelException {
    byte[] ip = address.getAddress();
    ByteBuffer packet = ByteBuffer.allocate(ArpPacket.LENGTH);
    packet.putShort((short) ArpPacket.HARDWARE_ETHERNET).putShort((short) ArpPacket.PROTOCOL_IPV4);
    packet.put((byte) ArpPacket.MAC_LENGTH).put((byte) ArpPacket.ADDRESS_LENGTH);
    packet.putShort((short) operation).put(mac).put(ip).put(new byte[mac.length]).put(ip);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment to = PacketSocket.broadcastAddress(arena, ETH_P_ARP, linkIndex);
      Libc.sendto(descriptor.fd(), arena.allocateFrom(JAVA_BYTE, packet.array()), to);
    }
  }

  /** Returns the number of the descriptor, which is readable while there are packets. */
  public int fd() {
    return descriptor.fd();
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
