package cni.netlink.ffm.packet;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
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
 * Datagrams of UDP over IPv4 on a link that may have no address yet, see packet(7): what a DHCP
 * client needs. Datagrams begin with their IP header; the kernel adds and removes that of the link.
 * For one thread at a time.
 */
public final class PacketSocket implements AutoCloseable {
  private static final int AF_PACKET = 17;
  private static final int SOCK_DGRAM_CLOEXEC = 2 | 0x80000;
  private static final int ETH_P_IP = 0x0800;
  private static final int SOL_SOCKET = 1;
  private static final int SO_RCVTIMEO = 20;
  private static final int SO_ATTACH_FILTER = 26;
  private static final int MSG_TRUNC = 0x20;

  /**
   * struct sockaddr_ll: family, protocol (big endian), link, type, packet type, length, address.
   */
  private static final int SOCKADDR_LL = 20;

  private static final int MAX_DATAGRAM = 65535;
  private static final int MAC_LENGTH = 6;

  private final Descriptor descriptor;
  private final int linkIndex;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment buffer = arena.allocate(MAX_DATAGRAM);
  private final MemorySegment sender = arena.allocate(SOCKADDR_LL, 4);

  private PacketSocket(Descriptor descriptor, int link) {
    this.descriptor = descriptor;
    this.linkIndex = link;
  }

  /**
   * Opens a socket in a namespace.
   *
   * @param link the index of the link there
   * @param port the UDP port whose datagrams are received; all others the kernel keeps back
   * @throws KernelException if the namespace cannot be entered or the socket not be opened; ENODEV
   *     if there is no such link
   */
  public static PacketSocket open(NetNs namespace, int link, int port) throws KernelException {
    return namespace.call(() -> open(link, port));
  }

  private static PacketSocket open(int link, int port) throws KernelException {
    // With protocol 0 it receives nothing before the filter is there and it is bound to the link.
    var descriptor = new Descriptor(Libc.socket(AF_PACKET, SOCK_DGRAM_CLOEXEC, 0));
    try (Arena arena = Arena.ofConfined()) {
      attachFilter(descriptor, port, arena);
      Libc.bind(descriptor.fd(), address(arena, link));
      return new PacketSocket(descriptor, link);
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  private static MemorySegment address(Arena arena, int link) {
    MemorySegment address = arena.allocate(SOCKADDR_LL, 4);
    address.set(JAVA_SHORT, 0, (short) AF_PACKET);
    address.set(JAVA_BYTE, 2, (byte) (ETH_P_IP >> 8));
    address.set(JAVA_BYTE, 3, (byte) ETH_P_IP);
    address.set(JAVA_INT, 4, link);
    return address;
  }

  /** Classic BPF (linux/filter.h): UDP, the first fragment, to that port. */
  private static void attachFilter(Descriptor descriptor, int port, Arena arena)
      throws KernelException {
    long[] program = {
      instruction(0x30, 0, 0, 9), // load the protocol
      instruction(0x15, 0, 6, 17), // UDP?
      instruction(0x28, 0, 0, 6), // load flags and fragment offset
      instruction(0x45, 4, 0, 0x1fff), // a later fragment?
      instruction(0xb1, 0, 0, 0), // X = length of the IP header
      instruction(0x48, 0, 0, 2), // load the destination port
      instruction(0x15, 0, 1, port),
      instruction(0x06, 0, 0, MAX_DATAGRAM), // all of it
      instruction(0x06, 0, 0, 0), // nothing
    };
    MemorySegment filter = arena.allocate(8L * program.length, 8);
    for (int i = 0; i < program.length; i++) {
      MemorySegment at = filter.asSlice(8L * i, 8);
      at.set(JAVA_SHORT, 0, (short) (program[i] >>> 48));
      at.set(JAVA_BYTE, 2, (byte) (program[i] >>> 40));
      at.set(JAVA_BYTE, 3, (byte) (program[i] >>> 32));
      at.set(JAVA_INT, 4, (int) program[i]);
    }
    MemorySegment fprog = arena.allocate(16, 8); // struct sock_fprog: length u16, pointer
    fprog.set(JAVA_SHORT, 0, (short) program.length);
    fprog.set(JAVA_LONG, 8, filter.address());
    Libc.setsockopt(descriptor.fd(), SOL_SOCKET, SO_ATTACH_FILTER, fprog);
  }

  /** struct sock_filter: code, where to go on if true and if false, a number. */
  private static long instruction(int code, int ifTrue, int ifFalse, int number) {
    return (long) code << 48
        | (long) ifTrue << 40
        | (long) ifFalse << 32
        | Integer.toUnsignedLong(number);
  }

  /**
   * Sends a datagram to everybody on the link.
   *
   * @throws KernelException ENETDOWN if the link is down
   */
  public void broadcast(byte[] datagram) throws KernelException {
    try (Arena own = Arena.ofConfined()) {
      MemorySegment address = address(own, linkIndex);
      address.set(JAVA_BYTE, 11, (byte) MAC_LENGTH);
      address.asSlice(12, MAC_LENGTH).fill((byte) 0xff);
      Libc.sendto(descriptor.fd(), own.allocateFrom(JAVA_BYTE, datagram), address);
    }
  }

  /**
   * Waits for a datagram.
   *
   * @param patience for how long; at least a microsecond
   * @return empty if none came in that time
   * @throws KernelException if the link has gone down or away
   */
  public Optional<byte[]> receive(Duration patience) throws KernelException {
    try (Arena own = Arena.ofConfined()) {
      long micros = Math.max(1, patience.toNanos() / 1000);
      MemorySegment timeval = own.allocateFrom(JAVA_LONG, micros / 1_000_000, micros % 1_000_000);
      Libc.setsockopt(descriptor.fd(), SOL_SOCKET, SO_RCVTIMEO, timeval);
      long length = Libc.recvfrom(descriptor.fd(), buffer, MSG_TRUNC, sender);
      boolean whole = length <= buffer.byteSize();
      return whole ? Optional.of(buffer.asSlice(0, length).toArray(JAVA_BYTE)) : Optional.empty();
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
    arena.close();
  }
}
