package cni.doctor.path;

import java.io.IOException;
import java.util.List;

/** Whether a program of a namespace waits for packets to a port, by /proc/net. */
final class ListeningSockets {
  private static final String TCP_LISTEN = "0A";
  private static final String UDP_UNCONNECTED = "07";
  private static final int LOCAL_ADDRESS = 1;
  private static final int STATE = 3;

  private ListeningSockets() {}

  /** Returns whether a socket has the port, whatever its address; true for ICMP. */
  static boolean exists(NamespaceView view, ProbeProtocol protocol, int port) throws IOException {
    return switch (protocol) {
      case TCP -> exists(view, List.of("tcp", "tcp6"), TCP_LISTEN, port);
      case UDP -> exists(view, List.of("udp", "udp6"), UDP_UNCONNECTED, port);
      case ICMP -> true;
    };
  }

  private static boolean exists(NamespaceView view, List<String> files, String state, int port)
      throws IOException {
    String end = ":%04X".formatted(port);
    for (String file : files) {
      for (String line : view.procNet(file)) {
        String[] columns = line.strip().split(" +", -1);
        if (columns.length > STATE
            && columns[LOCAL_ADDRESS].endsWith(end)
            && columns[STATE].equals(state)) {
          return true;
        }
      }
    }
    return false;
  }
}
