package cni.plugins.main.hostdevice;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.plugins.main.InterfacePlugin;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.InterfaceConfigurator;
import cni.plugins.support.Ipam;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Lends a container a device of the host; DEL takes it back. */
public final class HostDevicePlugin implements NetworkPlugin {
  private static final Path SYSFS = Path.of("/sys");

  /** The plugin as the runtime makes it. */
  public HostDevicePlugin() {}

  @Override
  public String type() {
    return "host-device";
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    DeviceSelector device = DeviceSelector.parse(request.config());
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNs hostNetns = hostNetns(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "lending a device to " + request.attachment().sandbox(),
          () -> {
            var lent = new MovedDevice(host, hostNetns, sandbox);
            DeviceSelector.SysfsDevice entry = lookUp(device, host);
            Result made = moveIn(request, device, entry, lent, rollback);
            Result result = request.prevResult().orElse(Result.EMPTY).merge(made);
            return result.withDns(request.config().dns());
          });
    } catch (KernelException e) {
      throw NetNsSession.failure("opening the host's namespace", e);
    }
  }

  private static NetNs hostNetns(CallContext context) throws KernelException {
    Optional<Path> path = context.hostNamespace();
    return path.isPresent() ? NetNs.open(path.get()) : NetNs.current();
  }

  private static DeviceSelector.SysfsDevice lookUp(DeviceSelector device, NetNsSession host)
      throws CniException, KernelException {
    return device.needsSysfs()
        ? host.<DeviceSelector.SysfsDevice, CniException>callWithPrivateSysfs(
            () -> device.lookUp(SYSFS))
        : device.lookUp(SYSFS);
  }

  private static Result moveIn(
      AttachmentRequest request,
      DeviceSelector device,
      DeviceSelector.SysfsDevice entry,
      MovedDevice lent,
      Rollback rollback)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    Optional<Link> link = Optional.empty();
    Ipam.Detach giveBack = () -> {};
    if (!entry.usesUserspaceDriver()) {
      Link found = lent.find(device, entry);
      link = Optional.of(lent.moveIn(found, request));
      giveBack = () -> lent.undo(name, found);
      rollback.add(giveBack::detach);
    }
    var described =
        new Result.Interface(
            name,
            link.map(Link::mac).orElse(""),
            0,
            request.attachment().sandbox(),
            "",
            entry.pciId().orElse(""));
    Result made = Result.EMPTY.withInterfaces(List.of(described));
    Optional<Result> assigned = Ipam.add(request, rollback, giveBack);
    if (assigned.isPresent()) {
      made = InterfacePlugin.withAddresses(made, assigned.get());
      if (link.isPresent()) {
        InterfaceConfigurator.start(lent.sandbox(), name, true)
            .apply(link.get().index(), made, 0, request.context().deadline());
      }
    }
    return made;
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    DeviceSelector device = DeviceSelector.parse(request.config());
    Ipam.check(request);
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      if (lookUp(device, host).usesUserspaceDriver()) {
        AttachmentCheck.requireIndex(request, request.requirePrevResult());
        return;
      }
      Link link = InterfacePlugin.checkInterface(request, sandbox, "");
      if (link.alias().isEmpty()) {
        throw AttachmentCheck.mismatch(
            "interface %s in the container is no device of the host: its alias, by which it would"
                    .formatted(link.name())
                + " go back, is missing");
      }
    } catch (IOException e) {
      throw NetNsSession.failure("checking " + request.attachment().interfaceName(), e);
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>The device need not be found by the configuration: its alias tells what it was.
   */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try {
      Ipam.delete(request, () -> moveOut(request));
    } catch (IOException e) {
      throw NetNsSession.failure("taking back " + request.attachment().interfaceName(), e);
    }
  }

  private static void moveOut(AttachmentRequest request) throws CniException, IOException {
    String name = request.attachment().interfaceName();
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      Optional<NetNsSession> there = NetNsSession.openContainerIfPresent(request, host);
      if (there.isPresent()) {
        try (NetNsSession sandbox = there.get();
            NetNs hostNetns = hostNetns(request.context())) {
          if (new MovedDevice(host, hostNetns, sandbox).moveOut(name)) {
            return;
          }
        }
      }
      Optional<Result.Interface> was = previousInterface(request);
      if (was.isPresent()) {
        Optional<String> ownName = request.config().view().nonEmpty("device");
        MovedDevice.restoreName(host, was.get(), ownName);
      }
    }
  }

  /** The device as the result of ADD has it, whose sandbox may be gone by now. */
  private static Optional<Result.Interface> previousInterface(AttachmentRequest request) {
    return request.prevResult().orElse(Result.EMPTY).interfaces().stream()
        .filter(it -> !it.isOnHost() && it.name().equals(request.attachment().interfaceName()))
        .findFirst();
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    Ipam.gc(request);
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    Ipam.status(request);
    if (!DeviceSelector.isConfigured(request.config().view())) {
      return; // the runtime chooses one for each container (deviceID)
    }
    DeviceSelector device = DeviceSelector.parse(request.config());
    // An interface may be lent to somebody just now; what a bus does not have, nobody can get.
    if (device.needsSysfs()) {
      try (NetNsSession host = NetNsSession.openHost(request.context())) {
        lookUp(device, host);
      } catch (CniException e) {
        throw new CniException(ErrorCode.NOT_AVAILABLE, String.valueOf(e.getMessage()), e);
      } catch (KernelException e) {
        throw NetNsSession.failure("looking for the device", e);
      }
    }
  }
}
