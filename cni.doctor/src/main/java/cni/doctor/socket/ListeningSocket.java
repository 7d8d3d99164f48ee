// SPDX-License-Identifier: Apache-2.0
package cni.doctor.socket;

import cni.api.InetAddresses;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * A socket that receives new connections or datagrams, from /proc/net (proc_net(5)).
 *
 * @param protocol {@code tcp} or {@code udp}
 * @param address the local address
 * @param port the local port
 */
public record ListeningSocket(String protocol, InetAddress address, int port) {
  /** The files below /proc/net that list sockets. */
  public static final List<String> FILES = List.of("tcp", "tcp6", "udp", "udp6");

  private static final String TCP_LISTEN = "0A";

  /** TCP_CLOSE, the state of a UDP socket that is not connected. */
  private static final String UDP_UNCONNECTED = "07";

  private static final int LOCAL_ADDRESS = 1;
  private static final int STATE = 3;
  private static final int PROTOCOL_LENGTH = 3;

  /**
   * Returns the listening sockets of a file.
   *
   * @param file one of {@link #FILES}
   * @param lines its lines: {@code sl local_address rem_address st ...}; the first one has titles
   */
  public static List<ListeningSocket> parse(String file, List<String> lines) {
    String protocol = file.substring(0, PROTOCOL_LENGTH);
    String listening = protocol.equals("tcp") ? TCP_LISTEN : UDP_UNCONNECTED;
    List<ListeningSocket> sockets = new ArrayList<>();
    for (String line : lines) {
      String[] columns = line.strip().split(" +", -1);
      if (columns.length > STATE && columns[STATE].equals(listening)) {
        String local = columns[LOCAL_ADDRESS];
        int colon = local.indexOf(':');
        int port = Integer.parseInt(local.substring(colon + 1), 16);
        sockets.add(new ListeningSocket(protocol, address(local.substring(0, colon)), port));
      }
    }
    return sockets;
  }

  /** Decodes words of four bytes, each printed as a number of the machine's byte order. */
  private static InetAddress address(String hex) {
    ByteBuffer words = ByteBuffer.wrap(HexFormat.of().parseHex(hex));
    ByteBuffer bytes = ByteBuffer.allocate(words.limit()).order(ByteOrder.nativeOrder());
    while (words.hasRemaining()) {
      bytes.putInt(words.getInt());
    }
    try {
      return InetAddress.getByAddress(bytes.array()); // an IPv4 one for ::ffff:127.0.0.1, too
    } catch (UnknownHostException e) {
      throw new IllegalArgumentException(hex + " has neither 4 nor 16 bytes", e);
    }
  }

  /**
   * Returns whether the socket receives what is sent to an address. A socket on {@code ::} is
   * assumed to receive IPv4 as well: /proc/net does not show IPV6_V6ONLY.
   */
  public boolean receives(InetAddress destination) {
    boolean isAny = address.isAnyLocalAddress();
    boolean isOnlyV4 = address instanceof Inet4Address;
    return isAny ? !isOnlyV4 || destination instanceof Inet4Address : address.equals(destination);
  }

  /** Returns the form of ss(8). */
  @Override
  public String toString() {
    String text = InetAddresses.format(address);
    return (text.indexOf(':') < 0 ? text : "[" + text + "]") + ":" + port;
  }
}
