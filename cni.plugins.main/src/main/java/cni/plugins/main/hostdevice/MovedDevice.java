// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.hostdevice;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Names;
import cni.api.Result;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkResponse;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkUpdate;
import cni.netlink.ffm.route.RouteSocket;
import cni.plugins.support.DuplicateInterfaceName;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * A device of the host that is moved into a container and back. While it is in the container its
 * alias ({@code IFLA_IFALIAS}) holds its name on the host, as with the reference plugin.
 */
final class MovedDevice {
  /** The names that the kernel assigns to a returning device if its name is in use on the host. */
  private static final String FALLBACK_NAME = "dev\\d+";

  private final NetNsSession host;
  private final NetNs hostNetns;
  private final NetNsSession container;

  /**
   * Creates an object that moves a device between two namespaces.
   *
   * @param hostNetns the namespace of {@code host}
   */
  MovedDevice(NetNsSession host, NetNs hostNetns, NetNsSession container) {
    this.host = host;
    this.hostNetns = hostNetns;
    this.container = container;
  }

  NetNsSession container() {
    return container;
  }

  /**
   * Finds the device's link on the host.
   *
   * @throws CniException code 7 if the host does not have it
   */
  Link find(DeviceSelector device, DeviceSelector.SysfsDevice sysfsDevice)
      throws CniException, IOException {
    return find(host, device, sysfsDevice).orElseThrow(() -> missing(device));
  }

  /** Finds a device's link on the host, if the host has it. */
  static Optional<Link> find(
      NetNsSession host, DeviceSelector device, DeviceSelector.SysfsDevice sysfsDevice)
      throws IOException {
    if (device instanceof DeviceSelector.ByMac(String mac)) {
      return host.rtnetlink().links().stream().filter(it -> it.mac().equals(mac)).findFirst();
    }
    return sysfsDevice.interfaceName().isPresent()
        ? host.rtnetlink().link(sysfsDevice.interfaceName().get())
        : Optional.empty();
  }

  /** Creates the error for a device that the host does not have, code 7. */
  static CniException missing(DeviceSelector device) {
    return new CniException(
        ErrorCode.INVALID_CONFIG,
        "the host has no interface for "
            + device.describe()
            + ": it may be in a container, or have no driver");
  }

  /**
   * Moves a device into the container, in one message that also renames it and sets it up.
   *
   * @param device the link on the host
   * @return the link in the container
   * @throws CniException code 4 if the container has an interface of that name
   * @throws IOException if the kernel refuses; the move has then been undone
   */
  Link moveIn(Link device, AttachmentRequest request) throws CniException, IOException {
    String name = request.attachment().interfaceName();
    if (container.rtnetlink().link(name).isPresent()) {
      throw DuplicateInterfaceName.error(request.attachment(), new IOException("File exists"));
    }
    try {
      host.rtnetlink()
          .execute(
              new LinkUpdate(device.index())
                  .moveTo(container.netns())
                  .name(name)
                  .alias(device.name())
                  .up(true)
                  .request());
      return container.rtnetlink().links(name).getFirst();
    } catch (IOException e) {
      try {
        undo(name, device);
      } catch (CniException | IOException undoFailure) {
        e.addSuppressed(undoFailure);
      }
      throw e;
    }
  }

  /**
   * Restores the device on the host, wherever a failure has left it.
   *
   * @param name the attachment's interface name
   * @param device the link as it was before {@link #moveIn}
   */
  void undo(String name, Link device) throws CniException, IOException {
    if (host.rtnetlink().link(device.name()).isEmpty()) {
      for (String current : List.of(name, device.name())) {
        Optional<Link> link =
            container
                .rtnetlink()
                .link(current)
                .filter(it -> it.mac().equals(device.mac()) && it.kind().equals(device.kind()));
        if (link.isPresent()) {
          moveToHost(link.get(), device.name(), device.alias());
          break;
        }
      }
    }
    if (device.isUp()) {
      Link restored = host.rtnetlink().links(device.name()).getFirst();
      host.rtnetlink().execute(LinkRequests.setUp(restored.index()));
    }
  }

  /**
   * Moves the device back to the host, under its own name and down.
   *
   * @return false if the container does not have the device
   * @throws CniException code 11 if the host has an interface of the device's name, code 999 if the
   *     device's name is not known
   */
  boolean moveOut(DeviceSearch search) throws CniException, IOException {
    Optional<DeviceSearch.Found> found = search.inContainer(container, host);
    if (found.isPresent()) {
      moveToHost(found.get().link(), found.get().ownName(), "");
    }
    return found.isPresent();
  }

  /**
   * Moves the device to the host. It is renamed in the container first, because otherwise it would
   * appear on the host under another name. If the container has an interface of that name, the
   * renaming fails and the moving message renames the device. A failure restores the device in the
   * container.
   */
  private void moveToHost(Link link, String ownName, String alias)
      throws CniException, IOException {
    RouteSocket rtnetlink = container.rtnetlink();
    List<NetlinkResponse> responses =
        rtnetlink.exchange(
            List.of(
                LinkRequests.setDown(link.index()),
                new LinkUpdate(link.index()).name(ownName).request(),
                new LinkUpdate(link.index())
                    .moveTo(hostNetns)
                    .name(ownName)
                    .alias(alias)
                    .request()));
    Optional<NetlinkException> moveError = responses.getLast().error();
    if (moveError.isPresent()) {
      rtnetlink.exchange(
          List.of(
              new LinkUpdate(link.index()).name(link.name()).alias(ownName).request(),
              new LinkUpdate(link.index()).up(link.isUp()).request()));
      if (host.rtnetlink().link(ownName).isPresent()) {
        throw new CniException(
            ErrorCode.TRY_AGAIN_LATER,
            "the device in the container, %s, cannot go back to the host as %s: another interface"
                    .formatted(link.name(), ownName)
                + " of the host has that name; rename it and try again",
            moveError.get());
      }
      throw moveError.get();
    }
  }

  /**
   * Restores the name of a device that the kernel returned to the host when the container's
   * namespace ended. The kernel keeps the name that it had in the container, or assigns {@code
   * dev%d} if that is in use (default_device_exit_net in net/core/dev.c).
   *
   * @param previous the interface as the result of ADD lists it
   * @param ownName the device's name, if the configuration has it
   * @return whether there is such a device
   */
  static boolean restoreName(NetNsSession host, Result.Interface previous, Optional<String> ownName)
      throws IOException {
    for (Link link : host.rtnetlink().links()) {
      if (!link.alias().isEmpty()
          && Names.isInterfaceName(link.alias())
          && !link.name().equals(link.alias())
          && (link.name().equals(previous.name()) || link.name().matches(FALLBACK_NAME))
          && !previous.mac().isEmpty()
          && link.mac().equalsIgnoreCase(previous.mac())
          && ownName.map(link.alias()::equals).orElse(true)) {
        String name = link.alias();
        host.rtnetlink()
            .execute(
                List.of(
                    LinkRequests.setDown(link.index()),
                    new LinkUpdate(link.index()).name(name).alias("").request()));
        return true;
      }
    }
    return false;
  }
}
