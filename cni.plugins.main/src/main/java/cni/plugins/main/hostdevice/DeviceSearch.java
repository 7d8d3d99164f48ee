// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.hostdevice;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Names;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Finds the device of an attachment, for DEL. The container may have renamed it, and may have given
 * its name to another interface. What identifies the device is its place on a bus, its alias, which
 * holds its name on the host, and its hardware address.
 */
final class DeviceSearch {
  private static final Path SYSFS = Path.of("/sys");

  private final String name;
  private final String sandbox;
  private final Optional<DeviceSelector> selector;
  private final Optional<Result.Interface> previous;
  private final Set<String> macs = new HashSet<>();

  /**
   * A device in the container.
   *
   * @param ownName its name on the host
   */
  record Found(Link link, String ownName) {}

  /** Creates the search. A configuration that is invalid by now is ignored. */
  DeviceSearch(AttachmentRequest request) {
    this.name = request.attachment().interfaceName();
    this.sandbox = request.attachment().sandbox();
    this.selector = selector(request);
    this.previous =
        request.prevResult().orElse(Result.EMPTY).interfaces().stream()
            .filter(it -> !it.isOnHost() && it.name().equals(name))
            .findFirst();
    previous
        .map(it -> it.mac().toLowerCase(Locale.ROOT)) // as the kernel's are read
        .filter(mac -> !mac.isEmpty())
        .ifPresent(macs::add);
    if (selector.isPresent() && selector.get() instanceof DeviceSelector.ByMac(String mac)) {
      macs.add(mac);
    }
  }

  private static Optional<DeviceSelector> selector(AttachmentRequest request) {
    try {
      return Optional.of(DeviceSelector.parse(request.config()));
    } catch (CniException e) {
      return Optional.empty();
    }
  }

  /** Returns the interface of the previous result, whatever its sandbox. */
  Optional<Result.Interface> previous() {
    return previous;
  }

  /** Returns the device's name on the host, if the configuration has it. */
  Optional<String> ownName() {
    return selector.isPresent() && selector.get() instanceof DeviceSelector.ByName(String device)
        ? Optional.of(device)
        : Optional.empty();
  }

  /**
   * Finds the device in the container.
   *
   * @throws CniException code 999 if its name on the host is not known any more
   */
  Optional<Found> inContainer(NetNsSession container, NetNsSession host)
      throws CniException, IOException {
    Optional<Link> named = container.rtnetlink().link(name).filter(DeviceSearch::hasAlias);
    Optional<Link> found = named.filter(macs.isEmpty() ? this::hasOwnAlias : this::hasMac);
    if (found.isEmpty()) { // renamed, or changed
      found = search(container, host);
    }
    if (found.isEmpty() && (macs.isEmpty() || ownName().isEmpty())) {
      found = named; // nothing speaks against it
    }
    return found.isEmpty()
        ? Optional.empty()
        : Optional.of(new Found(found.get(), nameOnHost(found.get(), host)));
  }

  private Optional<Link> search(NetNsSession container, NetNsSession host) throws IOException {
    List<Link> links = container.rtnetlink().links();
    Optional<Link> found = onBus(container, links);
    if (found.isEmpty()) {
      found = first(links, link -> hasAlias(link) && hasMac(link));
    }
    if (found.isEmpty() && ownName().isPresent()) {
      found = first(links, this::hasOwnAlias); // its hardware address was changed
    }
    if (found.isEmpty() && !isOnHost(host)) {
      found = onlyOneWithMac(links); // its alias was removed
    }
    return found;
  }

  private String nameOnHost(Link device, NetNsSession host) throws CniException, IOException {
    Optional<String> configured = ownName();
    // Another name in the alias: it was changed, or the configuration names another device by now.
    if (configured.isPresent() && host.rtnetlink().link(configured.get()).isEmpty()) {
      return configured.get();
    }
    if (hasAlias(device)) {
      return device.alias();
    }
    return configured.orElseThrow(
        () ->
            new CniException(
                ErrorCode.INTERNAL,
                "the device of %s is interface %s in %s, but its name on the host is not known,"
                        .formatted(name, device.name(), sandbox)
                    + " because its alias was removed; restore it there with"
                    + " \"ip link set %s alias NAME\" and repeat DEL".formatted(device.name())));
  }

  private static Optional<Link> first(List<Link> links, Predicate<Link> condition) {
    return links.stream().filter(condition).findFirst();
  }

  private static boolean hasAlias(Link link) {
    return Names.isInterfaceName(link.alias());
  }

  private boolean hasOwnAlias(Link link) {
    return hasAlias(link) && ownName().map(link.alias()::equals).orElse(true);
  }

  private boolean hasMac(Link link) {
    return macs.contains(link.mac()) || macs.contains(link.permanentMac());
  }

  /** A bridge or VLAN on top of the device has its hardware address too. */
  private Optional<Link> onlyOneWithMac(List<Link> links) {
    List<Link> matching = links.stream().filter(this::hasMac).toList();
    return matching.size() == 1 ? Optional.of(matching.getFirst()) : Optional.empty();
  }

  private Optional<Link> onBus(NetNsSession netns, List<Link> links) throws IOException {
    if (selector.filter(DeviceSelector::needsSysfs).isEmpty()) {
      return Optional.empty();
    }
    Optional<String> present = lookUp(netns).flatMap(DeviceSelector.SysfsDevice::interfaceName);
    return present.flatMap(it -> first(links, link -> link.name().equals(it)));
  }

  /** Returns what a namespace's sysfs shows of the device; empty if it is on no bus any more. */
  private Optional<DeviceSelector.SysfsDevice> lookUp(NetNsSession netns) throws IOException {
    return netns.<Optional<DeviceSelector.SysfsDevice>, IOException>callWithPrivateSysfs(
        () -> {
          try {
            return Optional.of(selector.orElseThrow().lookUp(SYSFS));
          } catch (CniException e) {
            return Optional.empty();
          }
        });
  }

  private boolean isOnHost(NetNsSession host) throws IOException {
    if (ownName().isPresent()) {
      return host.rtnetlink().link(ownName().get()).isPresent();
    }
    List<Link> links = host.rtnetlink().links();
    return links.stream().anyMatch(this::hasMac) || onBus(host, links).isPresent();
  }

  /**
   * Requires that a device that is not in the container is on the host. One that was removed from
   * its bus is not expected anywhere.
   *
   * @throws CniException code 999 if it is not
   */
  void requireOnHost(NetNsSession host) throws CniException, IOException {
    if (macs.isEmpty() || previous.isEmpty() || isOnHost(host)) {
      return; // without a hardware address there was no interface: a user space driver has it
    }
    if (selector.filter(DeviceSelector::needsSysfs).isPresent() && lookUp(host).isEmpty()) {
      return;
    }
    throw new CniException(
        ErrorCode.INTERNAL,
        "the device that ADD moved to %s as %s%s is neither there nor on the host: it is in another"
                .formatted(sandbox, name, selector.map(it -> " (" + it.describe() + ")").orElse(""))
            + " namespace, or was deleted; move it back with \"ip link set NAME netns\", or delete"
            + " the namespace "
            + sandbox
            + ", and repeat DEL");
  }
}
