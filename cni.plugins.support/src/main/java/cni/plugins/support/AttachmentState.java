package cni.plugins.support;

import cni.api.Attachment;
import cni.api.Cidr;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.netns.NotNamespaceException;
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
 * How the interfaces and addresses that a result lists are.
 *
 * @param items by what people call them: {@code eth0 in /run/netns/blue}
 */
record AttachmentState(Map<String, Health> items) {
  /** How one of them is, from good to bad. */
  enum Health {
    HEALTHY,
    CONFLICT,
    DOWN,
    MISSING
  }

  private static final String ADDRESS = "address ";
  private static final String INTERFACE = "interface ";

  /** What an attachment is like when it has just been made. */
  static AttachmentState healthy(PluginHost.ActiveAttachment kept) {
    Map<String, Health> items = new TreeMap<>();
    Result result = kept.result();
    for (int i = 0; i < result.interfaces().size(); i++) {
      String name = describe(result.interfaces().get(i));
      items.put(INTERFACE + name, Health.HEALTHY);
      result.ipsOf(i).forEach(ip -> items.put(describe(ip.address(), name), Health.HEALTHY));
    }
    return new AttachmentState(items);
  }

  private static String describe(Result.Interface it) {
    return it.name() + (it.isOnHost() ? " on the host" : " in " + it.sandbox());
  }

  private static String describe(Cidr address, String name) {
    return ADDRESS + address + " of " + name;
  }

  /**
   * Asks the kernel.
   *
   * @param host of the host's namespace
   */
  static AttachmentState read(RouteSocket host, PluginHost.ActiveAttachment kept)
      throws IOException {
    AttachmentState state = healthy(kept);
    Optional<NetNs> sandbox = open(kept.attachment());
    try {
      Optional<NsidView> far =
          sandbox.isPresent() ? Optional.of(NsidView.of(host, sandbox.get())) : Optional.empty();
      List<Result.Interface> interfaces = kept.result().interfaces();
      for (int i = 0; i < interfaces.size(); i++) {
        Result.Interface it = interfaces.get(i);
        if (it.isOnHost()) {
          state.putLink(describe(it), host.link(it.name()), List.of(), List.of());
        } else if (far.isEmpty()) {
          state.items.put(INTERFACE + describe(it), Health.MISSING);
        } else if (it.sandbox().equals(kept.attachment().sandbox())) {
          Optional<Link> link = far.get().link(it.name());
          List<InterfaceAddress> addresses =
              link.isPresent() ? far.get().addresses(link.get().index()) : List.of();
          state.putLink(describe(it), link, kept.result().ipsOf(i), addresses);
        }
      }
      return state;
    } finally {
      sandbox.ifPresent(NetNs::close);
    }
  }

  private static Optional<NetNs> open(Attachment attachment) throws KernelException {
    Optional<Path> path = attachment.namespace();
    try {
      return path.isPresent() ? Optional.of(NetNs.open(path.get())) : Optional.empty();
    } catch (KernelException e) {
      if (e.is(Errno.ENOENT) || e instanceof NotNamespaceException) {
        return Optional.empty();
      }
      throw e;
    }
  }

  private void putLink(
      String name,
      Optional<Link> link,
      List<Result.IpConfig> expected,
      List<InterfaceAddress> addresses) {
    items.put(INTERFACE + name, link.isEmpty() ? Health.MISSING : health(link.get()));
    if (link.isPresent()) { // without it, that its addresses are gone goes without saying
      for (Result.IpConfig ip : expected) {
        items.put(describe(ip.address(), name), health(ip.address(), addresses));
      }
    }
  }

  private static Health health(Link link) {
    boolean passes = // a bridge has no carrier while none of its ports has
        link.isKind("bridge")
            || link.operState() == Link.OperState.UP
            || link.operState() == Link.OperState.UNKNOWN;
    return link.isUp() && passes ? Health.HEALTHY : Health.DOWN;
  }

  private static Health health(Cidr expected, List<InterfaceAddress> addresses) {
    for (InterfaceAddress it : addresses) {
      if (InterfaceAddresses.cidr(it).equals(expected)) {
        return it.isDuplicate() ? Health.CONFLICT : Health.HEALTHY;
      }
    }
    return Health.MISSING;
  }

  /** Whether something is in a worse state. */
  boolean isWorseThan(AttachmentState other) {
    return items.entrySet().stream()
        .anyMatch(it -> it.getValue().compareTo(other.healthOf(it.getKey())) > 0);
  }

  private Health healthOf(String item) {
    return items.getOrDefault(item, Health.HEALTHY);
  }

  /** What is different, as events say it. */
  void forEachChange(AttachmentState before, BiConsumer<PluginEvent.Kind, String> taker) {
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
            taker.accept(
                address ? PluginEvent.Kind.ADDRESS_GONE : PluginEvent.Kind.INTERFACE_GONE,
                item + " is gone");
        case DOWN -> taker.accept(PluginEvent.Kind.INTERFACE_DOWN, item + " is down");
        case CONFLICT ->
            taker.accept(
                PluginEvent.Kind.ADDRESS_CONFLICT,
                item + " is in use by another host on this network");
        case HEALTHY -> {
          if (!address) {
            taker.accept(PluginEvent.Kind.INTERFACE_UP, item + " is up");
          }
        }
      }
    }
  }
}
