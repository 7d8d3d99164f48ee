// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.doctor.IpCommand;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A network namespace that a packet passes, with what the kernel says about it. */
final class NamespaceView implements AutoCloseable {
  private final String name;
  private final Optional<Path> path;
  private final NetNs netns;
  private final RouteSocket routes;

  private NamespaceView(String name, Optional<Path> path, NetNs netns, RouteSocket routes) {
    this.name = name;
    this.path = path;
    this.netns = netns;
    this.routes = routes;
  }

  /**
   * Takes ownership of a namespace, which is closed if this fails.
   *
   * @param path the path of the namespace; empty for that of this process
   */
  static NamespaceView open(String name, Optional<Path> path, NetNs netns) throws IOException {
    try {
      return new NamespaceView(name, path, netns, RouteSocket.open(netns));
    } catch (IOException e) {
      netns.close();
      throw e;
    }
  }

  String name() {
    return name;
  }

  /** Returns a command of {@code ip} that acts on this namespace: {@code ip -n PATH link …}. */
  String ip(String arguments) {
    return path.map(it -> IpCommand.in(it, arguments)).orElse("ip " + arguments);
  }

  NetNs netns() {
    return netns;
  }

  RouteSocket routes() {
    return routes;
  }

  /**
   * Returns a link.
   *
   * @throws IOException if there is none with this index, or the kernel cannot be asked
   */
  Link link(int index) throws IOException {
    return routes
        .link(index)
        .orElseThrow(() -> new IOException("interface " + index + " of " + name + " is gone"));
  }

  /** Returns the link that has an address in use; empty if none has. */
  Optional<Link> owner(InetAddress address) throws IOException {
    for (InterfaceAddress it : routes.addresses()) {
      if (it.address().equals(address) && !it.isDuplicate()) {
        return routes.link(it.link());
      }
    }
    return Optional.empty();
  }

  /** Returns a link that is down though it seems to be meant for use: any but loopback. */
  Optional<Link> downLink() throws IOException {
    for (Link link : routes.links()) {
      boolean isVirtual = !link.kind().isEmpty() && !link.isKind("ifb") && !link.isKind("sit");
      if (isVirtual && !link.isUp()) {
        return Optional.of(link);
      }
    }
    return Optional.empty();
  }

  /** Returns the value of a kernel parameter; empty if there is no such parameter. */
  Optional<String> sysctl(String key) throws IOException {
    return netns.<Optional<String>, IOException>call(
        () -> {
          try {
            return Optional.of(Sysctl.KERNEL.get(key));
          } catch (NoSuchFileException e) {
            return Optional.empty();
          }
        });
  }

  /** Returns the lines of a file below /proc/net; none if there is no such file. */
  List<String> procNet(String file) throws IOException {
    return netns.<List<String>, IOException>call(
        () -> {
          Path path = Path.of("/proc/thread-self/net", file);
          return Files.exists(path) ? Files.readAllLines(path) : List.of();
        });
  }

  @Override
  public void close() {
    routes.close();
    netns.close();
  }

  @Override
  public String toString() {
    return name;
  }
}
