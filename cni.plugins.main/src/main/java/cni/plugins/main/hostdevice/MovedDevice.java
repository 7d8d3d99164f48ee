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
 * A device of the host that a container has for a while. Its own name is written on it as its alias
 * meanwhile, as the reference plugin does.
 */
final class MovedDevice {
  /** The names that the kernel makes up where the one that a device has is taken. */
  private static final String FALLBACK_NAME = "dev\\d+";

  private final NetNsSession host;
  private final NetNs hostNetns;
  private final NetNsSession sandbox;

  /**
   * A device between two namespaces.
   *
   * @param hostNetns the same as {@code host}, for the kernel
   */
  MovedDevice(NetNsSession host, NetNs hostNetns, NetNsSession sandbox) {
    this.host = host;
    this.hostNetns = hostNetns;
    this.sandbox = sandbox;
  }

  NetNsSession sandbox() {
    return sandbox;
  }

  /**
   * The device as it is on the host.
   *
   * @throws CniException code 7 if it is not there
   */
  Link find(DeviceSelector device, DeviceSelector.SysfsDevice entry)
      throws CniException, IOException {
    Optional<Link> found =
        device instanceof DeviceSelector.ByMac(String mac)
            ? host.rtnetlink().links().stream().filter(it -> it.mac().equals(mac)).findFirst()
            : entry.interfaceName().isPresent()
                ? host.rtnetlink().link(entry.interfaceName().get())
                : Optional.empty();
    return found.orElseThrow(
        () ->
            new CniException(
                ErrorCode.INVALID_CONFIG,
                "the host has no interface for "
                    + device
                    + "; perhaps a container has it, or no driver"));
  }

  /**
   * Moves a device into the container, in one message: there it gets its name, and is set up.
   *
   * @throws CniException code 4 if the container has an interface of that name
   * @throws IOException if the kernel refuses; then the device is as it was
   */
  Link moveIn(Link device, AttachmentRequest request) throws CniException, IOException {
    String name = request.attachment().interfaceName();
    if (sandbox.rtnetlink().link(name).isPresent()) {
      throw DuplicateInterfaceName.error(request.attachment(), new IOException("File exists"));
    }
    try {
      host.rtnetlink()
          .execute(
              new LinkUpdate(device.index())
                  .moveTo(sandbox.netns())
                  .name(name)
                  .alias(device.name())
                  .up(true)
                  .request());
      return sandbox.rtnetlink().links(name).getFirst();
    } catch (IOException e) {
      try {
        undo(name, device);
      } catch (CniException | IOException also) {
        e.addSuppressed(also);
      }
      throw e;
    }
  }

  /** Has the device again as it was before, wherever a failure has left it. */
  void undo(String name, Link device) throws CniException, IOException {
    if (host.rtnetlink().link(device.name()).isEmpty()) {
      for (String there : List.of(name, device.name())) {
        Optional<Link> link =
            sandbox
                .rtnetlink()
                .link(there)
                .filter(it -> it.mac().equals(device.mac()) && it.kind().equals(device.kind()));
        if (link.isPresent()) {
          moveToHost(link.get(), device.name(), device.alias());
          break;
        }
      }
    }
    if (device.isUp()) {
      Link again = host.rtnetlink().links(device.name()).getFirst();
      host.rtnetlink().execute(LinkRequests.setUp(again.index()));
    }
  }

  /**
   * Takes the device back to the host, under its own name and down.
   *
   * @return false if the container does not have it
   * @throws CniException code 11 if an interface of the host has its name
   */
  boolean moveOut(String name) throws CniException, IOException {
    Optional<Link> link = sandbox.rtnetlink().link(name);
    if (link.isEmpty() || !Names.isInterfaceName(link.get().alias())) {
      return false; // nothing, or an interface that no device of the host has become
    }
    moveToHost(link.get(), link.get().alias(), "");
    return true;
  }

  /**
   * It gets its name already in the container, so that nobody on the host sees it with another one;
   * if an interface of the container has that name, on the host.
   */
  private void moveToHost(Link link, String ownName, String alias)
      throws CniException, IOException {
    RouteSocket routing = sandbox.rtnetlink();
    List<NetlinkResponse> answers =
        routing.exchange(
            List.of(
                LinkRequests.setDown(link.index()),
                new LinkUpdate(link.index()).name(ownName).request(),
                new LinkUpdate(link.index())
                    .moveTo(hostNetns)
                    .name(ownName)
                    .alias(alias)
                    .request()));
    Optional<NetlinkException> refused = answers.getLast().error();
    if (refused.isPresent()) {
      routing.exchange(
          List.of(
              new LinkUpdate(link.index()).name(link.name()).alias(ownName).request(),
              new LinkUpdate(link.index()).up(link.isUp()).request()));
      if (host.rtnetlink().link(ownName).isPresent()) {
        throw new CniException(
            ErrorCode.TRY_AGAIN_LATER,
            "the device in the container, %s, cannot go back to the host as %s: another interface"
                    .formatted(link.name(), ownName)
                + " of the host has that name; rename it and try again",
            refused.get());
      }
      throw refused.get();
    }
  }

  /**
   * Gives a device its name again that the kernel returned to the host when the container's
   * namespace ended. The kernel keeps the name that it had in the container, or makes one up.
   *
   * @param ownName its name, if the configuration tells it
   */
  static void restoreName(NetNsSession host, Result.Interface was, Optional<String> ownName)
      throws IOException {
    for (Link link : host.rtnetlink().links()) {
      if (!link.alias().isEmpty()
          && Names.isInterfaceName(link.alias())
          && !link.name().equals(link.alias())
          && (link.name().equals(was.name()) || link.name().matches(FALLBACK_NAME))
          && !was.mac().isEmpty()
          && link.mac().equals(was.mac())
          && ownName.map(link.alias()::equals).orElse(true)) {
        String name = link.alias();
        host.rtnetlink()
            .execute(
                List.of(
                    LinkRequests.setDown(link.index()),
                    new LinkUpdate(link.index()).name(name).alias("").request()));
        return;
      }
    }
  }
}
