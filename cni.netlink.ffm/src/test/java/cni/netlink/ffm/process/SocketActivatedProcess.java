// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import cni.netlink.ffm.libc.Libc;
import cni.testing.JavaProcess;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** The main class of a process with the descriptors and variables that systemd would pass to it. */
final class SocketActivatedProcess {
  private static final int FIRST = 3;

  /** The targets of the links in /proc/self/fd of the passed sockets. */
  private static final Set<Path> PASSED = new HashSet<>();

  private SocketActivatedProcess() {}

  /**
   * Runs the process and returns the lines that it prints.
   *
   * @param sockets the paths of listening sockets, passed from descriptor 3 on; a hyphen passes
   *     /dev/null
   * @param actions what it does: {@code take PATH}, {@code listener PATH}, {@code untaken}, {@code
   *     inherited}, {@code input}
   */
  static List<String> run(List<String> sockets, List<String> actions) throws Exception {
    var script = new StringBuilder("exec");
    for (int i = 0; i < sockets.size(); i++) {
      script.append(' ').append(FIRST + i).append("</dev/null"); // not used by the JVM then
    }
    script.append("\nexport LISTEN_PID=$$ LISTEN_FDS=").append(sockets.size());
    script.append("\nexec \"$@\"");
    List<String> command = new ArrayList<>(List.of("sh", "-c", script.toString(), "sh"));
    List<String> arguments = new ArrayList<>(List.of(String.join(" ", sockets)));
    arguments.addAll(actions);
    command.addAll(
        JavaProcess.command(SocketActivatedProcess.class, arguments.toArray(String[]::new)));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().write("input\n".getBytes(StandardCharsets.UTF_8));
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return output.lines().toList();
  }

  /** Arguments: the paths of the sockets, separated by spaces, then the actions. */
  public static void main(String[] args) throws Exception {
    ServerSocketChannel.open(StandardProtocolFamily.UNIX).close(); // the JDK opens one of its own
    String[] sockets = args[0].split(" ", -1);
    for (int i = 0; i < sockets.length; i++) {
      if (!sockets[i].equals("-")) {
        passListener(Path.of(sockets[i]), FIRST + i);
      }
    }
    for (String action : Arrays.asList(args).subList(1, args.length)) {
      String[] words = action.split(" ", -1);
      try {
        System.out.println(act(words[0], words.length > 1 ? Path.of(words[1]) : Path.of("")));
      } catch (IOException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  private static void passListener(Path path, int fd) throws IOException {
    Map<Path, Path> before = openSockets();
    try (var listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      listener.bind(UnixDomainSocketAddress.of(path));
      for (Map.Entry<Path, Path> it : openSockets().entrySet()) {
        if (!before.containsValue(it.getValue())) {
          Libc.dup2(number(it.getKey()), fd);
          PASSED.add(it.getValue());
        }
      }
    }
  }

  private static int number(Path descriptor) {
    return Integer.parseInt(String.valueOf(descriptor.getFileName()));
  }

  /** Returns the descriptors that are sockets, and their targets, such as {@code socket:[123]}. */
  private static Map<Path, Path> openSockets() throws IOException {
    Map<Path, Path> sockets = new HashMap<>();
    try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
      for (Path it : open.toList()) {
        if (Files.isSymbolicLink(it)) { // else it was the directory itself
          Path target = Files.readSymbolicLink(it);
          if (target.toString().startsWith("socket:")) {
            sockets.put(it, target);
          }
        }
      }
    }
    return sockets;
  }

  private static String act(String action, Path path) throws IOException {
    return switch (action) {
      case "take" -> SystemdSocket.take(path).toString();
      case "listener" -> serve(SystemdSocket.listener(path));
      case "untaken" -> SystemdSocket.untaken().toString();
      case "inherited" -> inheritable().toString();
      case "input" -> new String(System.in.readAllBytes(), StandardCharsets.UTF_8).strip();
      default -> throw new IllegalArgumentException(action);
    };
  }

  /** Connects to the socket and accepts the connection. */
  private static String serve(Optional<ServerSocketChannel> listener) throws IOException {
    if (listener.isEmpty()) {
      return "none";
    }
    var address = (UnixDomainSocketAddress) listener.get().getLocalAddress();
    try (SocketChannel client = SocketChannel.open(address);
        SocketChannel peer = listener.get().accept()) {
      return client.isConnected() && peer.isConnected() ? "serves " + address.getPath() : "fails";
    }
  }

  /** Returns the descriptors of the passed sockets without close-on-exec. */
  private static List<Path> inheritable() throws IOException {
    List<Path> found = new ArrayList<>();
    for (Map.Entry<Path, Path> it : openSockets().entrySet()) {
      Path info = Path.of("/proc/self/fdinfo/" + number(it.getKey()));
      String flags = Files.readString(info).replaceAll("(?s).*flags:\\s*([0-7]+).*", "$1");
      if (PASSED.contains(it.getValue()) && (Integer.parseInt(flags, 8) & Libc.O_CLOEXEC) == 0) {
        found.add(it.getKey());
      }
    }
    return found;
  }
}
