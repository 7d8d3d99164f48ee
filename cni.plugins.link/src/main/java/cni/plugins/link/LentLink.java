package cni.plugins.link;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Names;
import cni.api.Result;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.NetlinkAnswer;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkChange;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Rtnetlink;
import cni.sandbox.InterfaceNames;
import cni.sandbox.Namespace;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * A device of the host that a container has for a while. Its own name is written on it as its alias
 * meanwhile, as the reference plugin does.
 */
final class LentLink {
  /** The names that the kernel makes up where the one that a device has is taken. */
  private static final String MADE_UP = "dev\\d+";

  private final Namespace host;
  private final NetNs hostNetns;
  private final Namespace sandbox;

  /**
   * A device between two namespaces.
   *
   * @param hostNetns the same as {@code host}, for the kernel
   */
  LentLink(Namespace host, NetNs hostNetns, Namespace sandbox) {
    this.host = host;
    this.hostNetns = hostNetns;
    this.sandbox = sandbox;
  }

  Namespace sandbox() {
    return sandbox;
  }

  /**
   * The device as it is on the host.
   *
   * @throws CniException code 7 if it is not there
   */
  Link find(HostDevice device, HostDevice.Entry entry) throws CniException, IOException {
    Optional<Link> found =
        device instanceof HostDevice.WithMac(String mac)
            ? host.routing().links().stream().filter(it -> it.mac().equals(mac)).findFirst()
            : entry.interfaceName().isPresent()
                ? host.routing().link(entry.interfaceName().get())
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
  Link lend(Link device, AttachmentRequest request) throws CniException, IOException {
    String name = request.attachment().interfaceName();
    if (sandbox.routing().link(name).isPresent()) {
      throw InterfaceNames.taken(request.attachment(), new IOException("File exists"));
    }
    try {
      host.routing()
          .execute(
              new LinkChange(device.index())
                  .moveTo(sandbox.netns())
                  .name(name)
                  .alias(device.name())
                  .up(true)
                  .request());
      return sandbox.routing().links(name).getFirst();
    } catch (IOException e) {
      try {
        giveBack(name, device);
      } catch (CniException | IOException also) {
        e.addSuppressed(also);
      }
      throw e;
    }
  }

  /** Has the device again as it was before, wherever a failure has left it. */
  void giveBack(String name, Link device) throws CniException, IOException {
    if (host.routing().link(device.name()).isEmpty()) {
      for (String there : List.of(name, device.name())) {
        Optional<Link> link =
            sandbox
                .routing()
                .link(there)
                .filter(it -> it.mac().equals(device.mac()) && it.kind().equals(device.kind()));
        if (link.isPresent()) {
          back(link.get(), device.name(), device.alias());
          break;
        }
      }
    }
    if (device.isUp()) {
      Link again = host.routing().links(device.name()).getFirst();
      host.routing().execute(LinkRequests.setUp(again.index()));
    }
  }

  /**
   * Takes the device back to the host, under its own name and down.
   *
   * @return false if the container does not have it
   * @throws CniException code 11 if an interface of the host has its name
   */
  boolean takeBack(String name) throws CniException, IOException {
    Optional<Link> link = sandbox.routing().link(name);
    if (link.isEmpty() || !Names.isInterface(link.get().alias())) {
      return false; // nothing, or an interface that no device of the host has become
    }
    back(link.get(), link.get().alias(), "");
    return true;
  }

  /**
   * It gets its name already in the container, so that nobody on the host sees it with another one;
   * if an interface of the container has that name, on the host.
   */
  private void back(Link link, String ownName, String alias) throws CniException, IOException {
    Rtnetlink routing = sandbox.routing();
    List<NetlinkAnswer> answers =
        routing.exchange(
            List.of(
                LinkRequests.setDown(link.index()),
                new LinkChange(link.index()).name(ownName).request(),
                new LinkChange(link.index())
                    .moveTo(hostNetns)
                    .name(ownName)
                    .alias(alias)
                    .request()));
    Optional<NetlinkException> refused = answers.getLast().error();
    if (refused.isPresent()) {
      routing.exchange(
          List.of(
              new LinkChange(link.index()).name(link.name()).alias(ownName).request(),
              new LinkChange(link.index()).up(link.isUp()).request()));
      if (host.routing().link(ownName).isPresent()) {
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
  static void restore(Namespace host, Result.Interface was, Optional<String> ownName)
      throws IOException {
    for (Link link : host.routing().links()) {
      if (!link.alias().isEmpty()
          && Names.isInterface(link.alias())
          && !link.name().equals(link.alias())
          && (link.name().equals(was.name()) || link.name().matches(MADE_UP))
          && !was.mac().isEmpty()
          && link.mac().equals(was.mac())
          && ownName.map(link.alias()::equals).orElse(true)) {
        String name = link.alias();
        host.routing()
            .execute(
                List.of(
                    LinkRequests.setDown(link.index()),
                    new LinkChange(link.index()).name(name).alias("").request()));
        return;
      }
    }
  }
}
