// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.Attachment;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.PortMapping;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** An attachment in the cache, and what exists of it. */
final class AttachmentView {
  private final CachedAttachment cached;
  private final HostKernel kernel;
  private final Lazy<Optional<NamespaceSnapshot>> namespace;

  AttachmentView(
      CachedAttachment cached, HostKernel kernel, Lazy<Optional<NamespaceSnapshot>> namespace) {
    this.cached = cached;
    this.kernel = kernel;
    this.namespace = namespace;
  }

  CachedAttachment cached() {
    return cached;
  }

  Attachment attachment() {
    return cached.attachment();
  }

  String network() {
    return cached.network();
  }

  /** Returns the arguments that select this attachment in commands of {@code cni}. */
  String arguments() {
    return network() + " " + namespaceName();
  }

  /** Returns the namespace as a command line names it. */
  String namespaceName() {
    return attachment().namespace().map(RemedyText::quoted).orElse("");
  }

  /** Returns a command of {@code ip} that acts on the namespace. */
  String ip(String arguments) {
    return attachment()
        .namespace()
        .map(it -> IpCommand.in(it, arguments))
        .orElse("ip " + arguments);
  }

  /** Returns the container's name for messages. */
  String container() {
    return NamespaceName.ofContainer(attachment());
  }

  /** Returns a name for messages: {@code blue/eth0}. */
  String label() {
    return container() + "/" + attachment().interfaceName();
  }

  /** Returns the content of the namespace; absent if it does not exist or its path is unknown. */
  Optional<NamespaceSnapshot> namespace() throws IOException, CniException {
    return namespace.get();
  }

  /** Returns the interface in the container; absent if there is none. */
  Optional<Link> link() throws IOException, CniException {
    return namespace().flatMap(it -> it.link(cached.interfaceName()));
  }

  /** Returns the host's end of the veth pair that the interface belongs to, if it does. */
  Optional<Link> hostLink() throws IOException, CniException {
    Optional<Link> inside = link().filter(it -> it.isKind("veth"));
    if (inside.isEmpty()) {
      return Optional.empty();
    }
    int index = inside.get().index();
    return kernel
        .link(inside.get().linkedIndex())
        .filter(it -> it.isKind("veth") && it.linkedIndex() == index);
  }

  /** Returns the bridge that the attachment is a port of, if it is. */
  Optional<Link> bridge() throws IOException, CniException {
    Optional<Link> port = hostLink();
    return port.isEmpty()
        ? Optional.empty()
        : kernel.link(port.get().master()).filter(it -> it.isKind("bridge"));
  }

  /** Returns the host's link that routes the attachment's packets: its bridge or veth. */
  Optional<Link> routingLink() throws IOException, CniException {
    Optional<Link> bridge = bridge();
    return bridge.isPresent() ? bridge : hostLink();
  }

  /** Returns the addresses of the result; none if the result cannot be read. */
  List<Result.IpConfig> ips() {
    try {
      return cached.result().ips();
    } catch (CniException e) {
      return List.of(); // CHECK reports it
    }
  }

  /** Returns the addresses of the result with the prefixes of their networks. */
  List<Cidr> addresses() {
    return ips().stream().map(Result.IpConfig::address).toList();
  }

  /** Returns the plugins of the ADD; none if its configuration cannot be read. */
  List<PluginConfig> plugins() {
    return config().map(NetworkConfig::plugins).orElse(List.of());
  }

  /** Returns the plugin of a type in the chain of the ADD; absent if there is none. */
  Optional<PluginConfig> plugin(String type) {
    return plugins().stream().filter(it -> it.type().equals(type)).findFirst();
  }

  /** Returns the ranges of host-local; absent without it, or if its configuration is invalid. */
  Optional<HostLocalRanges> ranges() throws CniException {
    Optional<NetworkConfig> stored = config();
    return stored.isEmpty() ? Optional.empty() : HostLocalRanges.of(stored.get());
  }

  /** Returns the ports that the chain publishes; none if it has no plugin that does. */
  List<PortMapping> publishedPorts() {
    return plugin("portmap").isEmpty()
        ? List.of()
        : PortMapping.readValid(attachment().capabilityArgs());
  }

  private Optional<NetworkConfig> config() {
    try {
      return Optional.of(cached.config());
    } catch (CniException e) {
      return Optional.empty(); // not stored by an old libcni; CHECK reports an invalid one
    }
  }
}
