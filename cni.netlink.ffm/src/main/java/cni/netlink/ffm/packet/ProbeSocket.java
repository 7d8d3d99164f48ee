// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.packet;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcSocket;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.IpFamily;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.time.Duration;
import java.util.Optional;

/**
 * A socket that sends single packets to find out whether they arrive: a TCP connection request, UDP
 * datagrams or ICMP echo requests, which are never fragmented. Unlike the sockets of {@code
 * java.net} it reports the kernel's error numbers. Not thread-safe.
 */
public final class ProbeSocket implements AutoCloseable {
  // netinet/in.h
  private static final int IPPROTO_IP = 0;
  private static final int IPPROTO_IPV6 = 41;
  private static final int IP_MTU_DISCOVER = 10;
  private static final int IPV6_MTU_DISCOVER = 23;
  private static final int PMTUDISC_PROBE = 3;

  private static final int SOCKADDR_IN = 16;
  private static final int SOCKADDR_IN6 = 28;
  private static final int MAX_DATAGRAM = 65535;
  private static final int ECHO_HEADER = 8;

  /** What a socket sends. */
  public enum Kind {
    TCP(6, 6),
    UDP(17, 17),
    /** ICMP or ICMPv6 echo requests. */
    ECHO(1, 58);

    private final int ipv4Protocol;
    private final int ipv6Protocol;

    Kind(int ipv4Protocol, int ipv6Protocol) {
      this.ipv4Protocol = ipv4Protocol;
      this.ipv6Protocol = ipv6Protocol;
    }

    /** Returns the number of the protocol, IPPROTO_*. */
    public int protocol(IpFamily family) {
      return family == IpFamily.IPV4 ? ipv4Protocol : ipv6Protocol;
    }

    private int socketType() {
      return switch (this) {
        case TCP -> LibcSocket.SOCK_STREAM;
        case UDP -> Libc.SOCK_DGRAM;
        case ECHO -> Libc.SOCK_RAW;
      };
    }
  }

  private final Kind kind;
  private final IpFamily family;
  private final Descriptor descriptor;
  private final int port;

  private ProbeSocket(Kind kind, IpFamily family, Descriptor descriptor, int port) {
    this.kind = kind;
    this.family = family;
    this.descriptor = descriptor;
    this.port = port;
  }

  /**
   * Opens a socket in a namespace, with a free local port.
   *
   * @param source the local address; empty for that of the route. Its family is that of the
   *     destination
   * @throws KernelException if the namespace cannot be entered or the socket cannot be opened;
   *     EADDRNOTAVAIL if the namespace does not have the local address
   */
  public static ProbeSocket open(
      NetNs namespace, Kind kind, IpFamily family, Optional<InetAddress> source)
      throws KernelException {
    return namespace.call(() -> open(kind, family, source));
  }

  private static ProbeSocket open(Kind kind, IpFamily family, Optional<InetAddress> source)
      throws KernelException {
    int type = kind.socketType() | Libc.SOCK_CLOEXEC;
    int protocol = kind.protocol(family);
    var descriptor = new Descriptor(Libc.socket(family.number(), type, protocol));
    try (Arena arena = Arena.ofConfined()) {
      boolean isV4 = family == IpFamily.IPV4;
      int level = isV4 ? IPPROTO_IP : IPPROTO_IPV6;
      int option = isV4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
      Libc.setsockopt(descriptor.fd(), level, option, PMTUDISC_PROBE);
      MemorySegment local = address(arena, family, source.map(InetAddress::getAddress), 0);
      Libc.bind(descriptor.fd(), local);
      Libc.getsockname(descriptor.fd(), local);
      int port = Short.toUnsignedInt(Short.reverseBytes(local.get(JAVA_SHORT, 2)));
      // The identifier of echo requests takes the place of a port. Raw sockets have none.
      int identifier = 1 + (int) (System.nanoTime() >>> 10 & 0x7fff);
      return new ProbeSocket(kind, family, descriptor, kind == Kind.ECHO ? identifier : port);
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  private static MemorySegment address(
      Arena arena, IpFamily family, Optional<byte[]> bytes, int port) {
    boolean isV4 = family == IpFamily.IPV4;
    MemorySegment address = arena.allocate(isV4 ? SOCKADDR_IN : SOCKADDR_IN6, 4);
    address.set(JAVA_SHORT, 0, (short) family.number());
    address.set(JAVA_BYTE, 2, (byte) (port >>> 8));
    address.set(JAVA_BYTE, 3, (byte) port);
    byte[] ip = bytes.orElse(new byte[family.addressLength()]);
    MemorySegment.copy(ip, 0, address, JAVA_BYTE, isV4 ? 4 : 8, ip.length);
    return address;
  }

  /** Returns the local port, or the identifier of the echo requests. */
  public int port() {
    return port;
  }

  /**
   * Sets the destination. Over TCP this sends the connection request and waits.
   *
   * @param timeout how long to wait for the connection
   * @throws KernelException ENETUNREACH, EHOSTUNREACH, EACCES or EINVAL where the namespace has no
   *     usable route; over TCP ECONNREFUSED if the request was refused and EINPROGRESS or ETIMEDOUT
   *     if there was no answer in time
   */
  public void connect(InetAddress destination, int destinationPort, Duration timeout)
      throws KernelException {
    int remotePort = kind == Kind.ECHO ? 0 : destinationPort;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment to = address(arena, family, Optional.of(destination.getAddress()), remotePort);
      Libc.setSendTimeout(descriptor.fd(), timeout);
      LibcSocket.connect(descriptor.fd(), to, "connect to " + destination.getHostAddress());
    }
  }

  /**
   * Sends a datagram or an echo request.
   *
   * @throws KernelException EMSGSIZE if it is longer than the interface sends; as {@link #connect}
   */
  public void send(byte[] payload) throws KernelException {
    byte[] packet = kind == Kind.ECHO ? echoRequest(payload) : payload;
    try (Arena arena = Arena.ofConfined()) {
      long _ = Libc.sendto(descriptor.fd(), arena.allocateFrom(JAVA_BYTE, packet));
    }
  }

  /** The kernel computes the checksum of ICMPv6. */
  private byte[] echoRequest(byte[] payload) {
    byte[] packet = new byte[ECHO_HEADER + payload.length];
    packet[0] = (byte) (family == IpFamily.IPV4 ? 8 : 128);
    packet[4] = (byte) (port >>> 8);
    packet[5] = (byte) port;
    packet[7] = 1; // the sequence number
    System.arraycopy(payload, 0, packet, ECHO_HEADER, payload.length);
    if (family == IpFamily.IPV4) {
      int sum = checksum(packet);
      packet[2] = (byte) (sum >>> 8);
      packet[3] = (byte) sum;
    }
    return packet;
  }

  /** The Internet checksum, RFC 1071. */
  private static int checksum(byte[] bytes) {
    int sum = 0;
    for (int i = 0; i < bytes.length; i++) {
      sum += Byte.toUnsignedInt(bytes[i]) << (i % 2 == 0 ? 8 : 0);
    }
    while (sum >>> 16 != 0) {
      sum = (sum & 0xffff) + (sum >>> 16);
    }
    return ~sum & 0xffff;
  }

  /**
   * Waits for an answer: any datagram from the destination, or the reply to an echo request of this
   * socket.
   *
   * @return whether there was one; false also if other packets came
   * @throws KernelException ECONNREFUSED, EHOSTUNREACH and others as reported by ICMP
   */
  public boolean receive(Duration timeout) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(MAX_DATAGRAM);
      MemorySegment sender = arena.allocate(SOCKADDR_IN6, 4);
      Libc.setReceiveTimeout(descriptor.fd(), timeout);
      long length = Libc.recvfrom(descriptor.fd(), buffer, 0, sender);
      return kind != Kind.ECHO || isReply(buffer.asSlice(0, length));
    } catch (KernelException e) {
      if (e.is(Errno.EAGAIN) || e.is(Errno.EINTR)) {
        return false;
      }
      throw e;
    }
  }

  /** A raw socket of IPv4 receives the IP header, too. */
  private boolean isReply(MemorySegment packet) {
    boolean isV4 = family == IpFamily.IPV4;
    long start = isV4 && packet.byteSize() > 0 ? 4L * (packet.get(JAVA_BYTE, 0) & 0xf) : 0;
    if (packet.byteSize() < start + ECHO_HEADER) {
      return false;
    }
    int identifier =
        Byte.toUnsignedInt(packet.get(JAVA_BYTE, start + 4)) << 8
            | Byte.toUnsignedInt(packet.get(JAVA_BYTE, start + 5));
    int type = Byte.toUnsignedInt(packet.get(JAVA_BYTE, start));
    return identifier == port && type == (isV4 ? 0 : 129);
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
