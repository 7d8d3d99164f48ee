// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.packet;

import static cni.netlink.ffm.packet.PacketFilter.instruction;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.netns.NetNs;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Optional;

/**
 * A packet socket, packet(7), for UDP over IPv4 on a link that may have no address yet, as a DHCP
 * client needs it. Datagrams start with the IP header; the kernel adds and removes the link layer's
 * header. One thread at a time may receive; another may close the socket meanwhile.
 */
public final class PacketSocket implements AutoCloseable {
  static final int AF_PACKET = 17;
  private static final int ETH_P_IP = 0x0800;

  /**
   * sizeof(struct sockaddr_ll): family u16, protocol be16, interface index s32, hardware type u16,
   * packet type u8, address length u8, address of 8 bytes.
   */
  static final int SOCKADDR_LL = 20;

  private static final int MAX_DATAGRAM = 65535;
  private static final int MAC_LENGTH = 6;

  private final Descriptor descriptor;
  private final int linkIndex;

  /**
   * Never closed: the kernel may be writing to the buffers for a thread that receives while another
   * closes the socket. They are freed when no thread can use this object any more.
   */
  private final Arena arena = Arena.ofAuto();

  private final MemorySegment buffer = arena.allocate(MAX_DATAGRAM);
  private final MemorySegment sender = arena.allocate(SOCKADDR_LL, 4);

  private PacketSocket(Descriptor descriptor, int linkIndex) {
    this.descriptor = descriptor;
    this.linkIndex = linkIndex;
  }

  /**
   * Opens a socket in a namespace.
   *
   * @param linkIndex the index of a link in the namespace
   * @param port the UDP destination port to receive; the kernel filters out all other datagrams
   * @throws KernelException if the namespace cannot be entered or the socket cannot be opened;
   *     ENODEV if there is no such link
   */
  public static PacketSocket open(NetNs namespace, int linkIndex, int port) throws KernelException {
    return namespace.call(() -> open(linkIndex, port));
  }

  private static PacketSocket open(int linkIndex, int port) throws KernelException {
    // With protocol 0 the socket receives nothing before it is bound, when it has its filter.
    int type = Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC;
    var descriptor = new Descriptor(Libc.socket(AF_PACKET, type, 0));
    try (Arena arena = Arena.ofConfined()) {
      attachFilter(descriptor, port);
      Libc.bind(descriptor.fd(), address(arena, ETH_P_IP, linkIndex));
      return new PacketSocket(descriptor, linkIndex);
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /** Allocates a struct sockaddr_ll; link 0 stands for all links. */
  static MemorySegment address(Arena arena, int protocol, int linkIndex) {
    MemorySegment address = arena.allocate(SOCKADDR_LL, 4);
    address.set(JAVA_SHORT, 0, (short) AF_PACKET);
    address.set(JAVA_BYTE, 2, (byte) (protocol >> 8));
    address.set(JAVA_BYTE, 3, (byte) protocol);
    address.set(JAVA_INT, 4, linkIndex);
    return address;
  }

  /** Allocates a struct sockaddr_ll with the broadcast address of a link. */
  static MemorySegment broadcastAddress(Arena arena, int protocol, int linkIndex) {
    MemorySegment address = address(arena, protocol, linkIndex);
    address.set(JAVA_BYTE, 11, (byte) MAC_LENGTH);
    address.asSlice(12, MAC_LENGTH).fill((byte) 0xff);
    return address;
  }

  /** Attaches a filter: UDP, first fragment, destination port. */
  private static void attachFilter(Descriptor descriptor, int port) throws KernelException {
    long[] program = {
      instruction(0x30, 0, 0, 9), // load the protocol
      instruction(0x15, 0, 6, 17), // UDP?
      instruction(0x28, 0, 0, 6), // load flags and fragment offset
      instruction(0x45, 4, 0, 0x1fff), // a later fragment?
      instruction(0xb1, 0, 0, 0), // X = length of the IP header
      instruction(0x48, 0, 0, 2), // load the destination port
      instruction(0x15, 0, 1, port),
      instruction(0x06, 0, 0, MAX_DATAGRAM), // accept entirely
      instruction(0x06, 0, 0, 0), // drop
    };
    PacketFilter.attach(descriptor, program);
  }

  /**
   * Sends a datagram to the link's broadcast address.
   *
   * @param datagram from the IP header on
   * @throws KernelException ENETDOWN if the link is down
   */
  public void broadcast(byte[] datagram) throws KernelException {
    try (Arena temporary = Arena.ofConfined()) {
      MemorySegment address = broadcastAddress(temporary, ETH_P_IP, linkIndex);
      Libc.sendto(descriptor.fd(), temporary.allocateFrom(JAVA_BYTE, datagram), address);
    }
  }

  /**
   * Waits for a datagram.
   *
   * @param timeout how long to wait; at least a microsecond
   * @return the datagram from the IP header on; empty if none arrived in time
   * @throws KernelException ENETDOWN if the link went down or was removed
   */
  public Optional<byte[]> receive(Duration timeout) throws KernelException {
    try {
      Libc.setReceiveTimeout(descriptor.fd(), timeout);
      long length = Libc.recvfrom(descriptor.fd(), buffer, Libc.MSG_TRUNC, sender);
      return length <= buffer.byteSize()
          ? Optional.of(buffer.asSlice(0, length).toArray(JAVA_BYTE))
          : Optional.empty();
    } catch (KernelException e) {
      if (e.is(Errno.EAGAIN) || e.is(Errno.EINTR)) {
        return Optional.empty();
      }
      throw e;
    }
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
