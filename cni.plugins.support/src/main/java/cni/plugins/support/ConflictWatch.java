// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.Cidr;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.packet.ArpPacket;
import cni.netlink.ffm.packet.ArpSocket;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.NsidView;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Watches the ARP packets that an interface of an attachment receives for senders that use one of
 * its addresses: passive conflict detection, RFC 5227 section 2.4. Not thread-safe.
 */
final class ConflictWatch implements AutoCloseable {
  /**
   * An interface with IPv4 addresses; a watch ends when it changes.
   *
   * @param active the attachment
   * @param interfaceOf the interface in the attachment's result
   * @param addresses its IPv4 addresses in the result; not empty
   * @param namespace the identity of its namespace
   * @param linkIndex its index there
   */
  record Target(
      PluginHost.ActiveAttachment active,
      Result.Interface interfaceOf,
      List<Cidr> addresses,
      NetNs.Identity namespace,
      int linkIndex) {
    /** Returns whether it is the same interface, with the same addresses. */
    boolean isSameAs(Target other) {
      return linkIndex == other.linkIndex
          && namespace.equals(other.namespace)
          && addresses.equals(other.addresses)
          && active.attachment().id().equals(other.active.attachment().id());
    }
  }

  private final Target target;
  private final Path namespacePath;
  private final Optional<Object> namespaceFile;
  private final NsidView view;
  private final ArpSocket socket;
  private final ConflictHistory<Cidr> history = new ConflictHistory<>();

  /**
   * Starts to watch.
   *
   * @param netns the namespace of the target
   * @param view the same
   * @throws IOException if the socket cannot be opened
   */
  static ConflictWatch open(Target target, NetNs netns, NsidView view) throws IOException {
    Set<Inet4Address> senders = new LinkedHashSet<>();
    for (Cidr it : target.addresses()) {
      senders.add((Inet4Address) it.address());
    }
    Optional<Object> file = fileKey(netns.path());
    ArpSocket socket = ArpSocket.open(netns, target.linkIndex(), senders);
    return new ConflictWatch(target, netns.path(), file, view, socket);
  }

  private ConflictWatch(
      Target target,
      Path namespacePath,
      Optional<Object> namespaceFile,
      NsidView view,
      ArpSocket socket) {
    this.target = target;
    this.namespacePath = namespacePath;
    this.namespaceFile = namespaceFile;
    this.view = view;
    this.socket = socket;
  }

  Target target() {
    return target;
  }

  ArpSocket socket() {
    return socket;
  }

  /**
   * Returns whether the path of the namespace still leads to it. If not, the watch must be closed:
   * its socket may be what keeps a deleted namespace, and all interfaces in it, in existence.
   */
  boolean isNamespaceNamed() {
    return namespaceFile.isPresent() && namespaceFile.equals(fileKey(namespacePath));
  }

  /** Returns the device and inode at a path; empty if there is no file. */
  private static Optional<Object> fileKey(Path path) {
    try {
      return Optional.ofNullable(Files.readAttributes(path, BasicFileAttributes.class).fileKey());
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /**
   * Receives the packets that have arrived and publishes conflicts. A sender that uses the hardware
   * address of any interface of the namespace is no conflict: Linux answers for an address by each
   * of its interfaces. Nor is a packet about an address that the interface does not have any more.
   *
   * @throws IOException if the socket or the kernel's state cannot be read
   */
  void receive(PluginHost host) throws IOException {
    long now = System.nanoTime();
    List<Claim> claims = new ArrayList<>();
    for (ArpPacket packet : socket.receive()) {
      for (Cidr it : target.addresses()) {
        Claim claim = new Claim(it, packet.senderMac());
        if (it.address().equals(packet.senderAddress())
            && history.isDue(it, claim.mac(), now)
            && !claims.contains(claim)) {
          claims.add(claim);
        }
      }
    }
    if (claims.isEmpty()) {
      return; // without reading the kernel's state, whatever a hostile neighbour sends
    }
    Set<String> ownMacs = new HashSet<>();
    for (Link it : view.links()) {
      ownMacs.add(it.mac());
    }
    Set<InetAddress> present = new HashSet<>();
    for (InterfaceAddress it : view.addresses(target.linkIndex())) {
      present.add(it.address());
    }
    for (Claim it : claims) {
      boolean isConflict = present.contains(it.address().address()) && !ownMacs.contains(it.mac());
      if (isConflict && history.isDue(it.address(), it.mac(), now)) {
        history.record(it.address(), it.mac(), now);
        publish(host, it);
      }
    }
  }

  /** An address and the hardware address of a sender that uses it. */
  private record Claim(Cidr address, String mac) {}

  private void publish(PluginHost host, Claim claim) {
    host.publish(
        PluginEvent.now(
            PluginEvent.Kind.ADDRESS_CONFLICT,
            "kernel",
            target.active().network(),
            Optional.of(target.active().attachment().id()),
            AttachmentHealth.conflict(claim.address(), target.interfaceOf())
                + ", with the hardware address "
                + claim.mac()));
  }

  @Override
  public void close() {
    socket.close();
  }
}
