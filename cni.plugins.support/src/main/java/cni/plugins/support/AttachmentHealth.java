// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.Attachment;
import cni.api.Cidr;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.Result;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.NsidView;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BiConsumer;

/**
 * The health of the interfaces and addresses that a result lists.
 *
 * @param items by the description that events use: {@code interface eth0 in /run/netns/blue}
 */
record AttachmentHealth(Map<String, Health> items) {
  /** The health of an interface or address, from best to worst. */
  enum Health {
    HEALTHY,
    CONFLICT,
    DOWN,
    MISSING
  }

  private static final String ADDRESS = "address ";
  private static final String INTERFACE = "interface ";

  /** Returns the health of an attachment that is as its result says. */
  static AttachmentHealth healthy(PluginHost.ActiveAttachment active) {
    Map<String, Health> items = new TreeMap<>();
    Result result = active.result();
    for (int i = 0; i < result.interfaces().size(); i++) {
      String name = describe(result.interfaces().get(i));
      items.put(INTERFACE + name, Health.HEALTHY);
      result.ipsOf(i).forEach(ip -> items.put(describe(ip.address(), name), Health.HEALTHY));
    }
    return new AttachmentHealth(items);
  }

  /** Returns the message of a conflict about an address of an interface in a container. */
  static String conflict(Cidr address, Result.Interface it) {
    return conflict(describe(address, describe(it)));
  }

  private static String conflict(String item) {
    return item + " is in use by another host on this network";
  }

  private static String describe(Result.Interface it) {
    return it.name() + (it.isOnHost() ? " on the host" : " in " + it.sandbox());
  }

  private static String describe(Cidr address, String name) {
    return ADDRESS + address + " of " + name;
  }

  /**
   * Determines the health from the state of the kernel.
   *
   * @param host a socket in the host's namespace
   * @throws IOException if the kernel cannot be queried
   */
  static AttachmentHealth read(RouteSocket host, PluginHost.ActiveAttachment active)
      throws IOException {
    AttachmentHealth health = healthy(active);
    Optional<NetNs> sandbox = open(active.attachment());
    try {
      Optional<NsidView> container =
          sandbox.isPresent() ? Optional.of(NsidView.of(host, sandbox.get())) : Optional.empty();
      List<Result.Interface> interfaces = active.result().interfaces();
      for (int i = 0; i < interfaces.size(); i++) {
        Result.Interface it = interfaces.get(i);
        if (it.isOnHost()) {
          health.putLink(describe(it), host.link(it.name()), List.of(), List.of());
        } else if (container.isEmpty()) {
          health.items.put(INTERFACE + describe(it), Health.MISSING);
        } else if (it.sandbox().equals(active.attachment().sandbox())) {
          Optional<Link> link = container.get().link(it.name());
          List<InterfaceAddress> addresses =
              link.isPresent() ? container.get().addresses(link.get().index()) : List.of();
          health.putLink(describe(it), link, active.result().ipsOf(i), addresses);
        }
      }
      return health;
    } finally {
      sandbox.ifPresent(NetNs::close);
    }
  }

  private static Optional<NetNs> open(Attachment attachment) throws KernelException {
    Optional<Path> path = attachment.namespace();
    return path.isPresent() ? NetNs.openIfPresent(path.get()) : Optional.empty();
  }

  private void putLink(
      String name,
      Optional<Link> link,
      List<Result.IpConfig> expected,
      List<InterfaceAddress> addresses) {
    items.put(INTERFACE + name, link.isEmpty() ? Health.MISSING : health(link.get()));
    if (link.isPresent()) { // the addresses of a missing interface are not reported
      for (Result.IpConfig ip : expected) {
        items.put(describe(ip.address(), name), health(ip.address(), addresses));
      }
    }
  }

  private static Health health(Link link) {
    boolean carrier = // a bridge has none while no port has one
        link.isKind("bridge")
            || link.operState() == Link.OperState.UP
            || link.operState() == Link.OperState.UNKNOWN;
    return link.isUp() && carrier ? Health.HEALTHY : Health.DOWN;
  }

  private static Health health(Cidr expected, List<InterfaceAddress> addresses) {
    for (InterfaceAddress it : addresses) {
      if (InterfaceCidrs.of(it).equals(expected)) {
        return it.isDuplicate() ? Health.CONFLICT : Health.HEALTHY;
      }
    }
    return Health.MISSING;
  }

  /** Returns whether any interface or address is in worse health than in the other. */
  boolean isWorseThan(AttachmentHealth other) {
    return items.entrySet().stream()
        .anyMatch(it -> it.getValue().compareTo(other.healthOf(it.getKey())) > 0);
  }

  private Health healthOf(String item) {
    return items.getOrDefault(item, Health.HEALTHY);
  }

  /** Passes each change since an earlier state to the consumer, as event kind and message. */
  void forEachChange(AttachmentHealth before, BiConsumer<PluginEvent.Kind, String> consumer) {
    List<String> changed = new ArrayList<>();
    items.forEach(
        (item, health) -> {
          if (health != before.healthOf(item)) {
            changed.add(item);
          }
        });
    for (String item : changed) {
      boolean address = item.startsWith(ADDRESS);
      switch (healthOf(item)) {
        case MISSING ->
            consumer.accept(
                address ? PluginEvent.Kind.ADDRESS_GONE : PluginEvent.Kind.INTERFACE_GONE,
                item + " is gone");
        case DOWN -> consumer.accept(PluginEvent.Kind.INTERFACE_DOWN, item + " is down");
        case CONFLICT -> consumer.accept(PluginEvent.Kind.ADDRESS_CONFLICT, conflict(item));
        case HEALTHY -> {
          if (!address) {
            consumer.accept(PluginEvent.Kind.INTERFACE_UP, item + " is up");
          }
        }
      }
    }
  }
}
