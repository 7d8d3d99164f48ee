package cni.doctor;

import cni.api.InetAddresses;
import cni.api.PortMapping;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * A socket of the host that receives new connections or datagrams, from /proc/net (proc(5)).
 *
 * @param protocol {@code tcp} or {@code udp}
 * @param address the local address
 * @param port the local port
 */
record Listener(String protocol, InetAddress address, int port) {
  /** TCP_LISTEN, and for UDP the state of a socket that is not connected (TCP_CLOSE). */
  private static final List<String> STATES = List.of("0A", "07");

  /** Lists the sockets of the host's namespace. */
  static List<Listener> readAll(HostKernel kernel) throws IOException {
    List<Listener> all = new ArrayList<>();
    for (String file : List.of("tcp", "tcp6", "udp", "udp6")) {
      kernel
          .procNet(file)
          .ifPresent(text -> text.lines().skip(1).forEach(line -> add(file, line, all)));
    }
    return all;
  }

  /** Reads a line: {@code sl local_address rem_address st ...}. */
  private static void add(String file, String line, List<Listener> all) {
    String[] fields = line.strip().split(" +", -1);
    if (fields.length < 4 || fields[3].equals("0A") != file.startsWith("tcp")) {
      return;
    }
    int colon = fields[1].indexOf(':');
    if (STATES.contains(fields[3]) && colon > 0) {
      all.add(
          new Listener(
              file.substring(0, 3),
              address(fields[1].substring(0, colon)),
              Integer.parseInt(fields[1].substring(colon + 1), 16)));
    }
  }

  /** Decodes words of four bytes, each printed as a number of the machine's byte order. */
  private static InetAddress address(String hex) {
    ByteBuffer words = ByteBuffer.wrap(HexFormat.of().parseHex(hex));
    ByteBuffer bytes = ByteBuffer.allocate(words.limit()).order(ByteOrder.nativeOrder());
    while (words.hasRemaining()) {
      bytes.putInt(words.getInt());
    }
    return InetAddresses.of(bytes.array());
  }

  /** Returns whether the socket receives what is sent to a published port. */
  boolean conflictsWith(PortMapping published) {
    return protocol.equals(published.protocol().toString())
        && port == published.hostPort()
        && (address.isAnyLocalAddress()
            || published.hostIp().stream()
                .allMatch(it -> it.isAnyLocalAddress() || it.equals(address)));
  }

  /** Returns the form of ss(8). */
  @Override
  public String toString() {
    String text = InetAddresses.format(address);
    return (text.indexOf(':') < 0 ? text : "[" + text + "]") + ":" + port;
  }
}
