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
import cni.plugins.main.ContainerInterface;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.InterfaceConfigurator;
import cni.plugins.support.Ipam;
import cni.plugins.support.LinkOwnership;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/** The host-device plugin: ADD moves a device of the host into the container, DEL moves it back. */
public final class HostDevicePlugin implements NetworkPlugin {
  private static final Path SYSFS = Path.of("/sys");

  /** Creates the plugin, for the service loader. */
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
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "moving a device to " + request.attachment().sandbox(),
          () -> {
            var moved = new MovedDevice(host, hostNetns, container);
            DeviceSelector.SysfsDevice sysfsDevice = lookUp(device, host);
            Result created = moveIn(request, device, sysfsDevice, moved, rollback);
            Result result = request.prevResult().orElse(Result.EMPTY).merge(created);
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
      DeviceSelector.SysfsDevice sysfsDevice,
      MovedDevice moved,
      Rollback rollback)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    Optional<Link> link = Optional.empty();
    Ipam.Detach undo = () -> {};
    if (!sysfsDevice.usesUserspaceDriver()) {
      Link found = moved.find(device, sysfsDevice);
      link = Optional.of(moved.moveIn(found, request));
      undo = () -> moved.undo(name, found);
      rollback.add(undo::detach);
    }
    var containerInterface =
        new Result.Interface(
            name,
            link.map(Link::mac).orElse(""),
            0,
            request.attachment().sandbox(),
            "",
            sysfsDevice.pciId().orElse(""));
    Result created = Result.EMPTY.withInterfaces(List.of(containerInterface));
    Optional<Result> assigned = Ipam.add(request, rollback, undo);
    if (assigned.isPresent()) {
      created = ContainerInterface.withAddresses(created, assigned.get());
      if (link.isPresent()) {
        InterfaceConfigurator.start(moved.container(), name, true)
            .apply(link.get().index(), created, 0, request.context().deadline());
      }
    }
    return created;
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    DeviceSelector device = DeviceSelector.parse(request.config());
    Ipam.check(request);
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      if (lookUp(device, host).usesUserspaceDriver()) {
        AttachmentCheck.requireIndex(request, request.requirePrevResult());
        return;
      }
      Link link = ContainerInterface.check(request, container, "");
      if (link.alias().isEmpty()) {
        throw AttachmentCheck.mismatch(
            "interface %s in the container has no alias with the name of a device of the host"
                .formatted(link.name()));
      }
    } catch (IOException e) {
      throw NetNsSession.failure("checking " + request.attachment().interfaceName(), e);
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>Does not need the configuration to find the device: its alias holds its name on the host.
   */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try {
      Ipam.delete(request, () -> moveOut(request));
    } catch (IOException e) {
      throw NetNsSession.failure("moving back " + request.attachment().interfaceName(), e);
    }
  }

  /** Moves the device back, and returns whether the container had it under its name. */
  private static boolean moveOut(
      AttachmentRequest request, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    try (NetNs hostNetns = hostNetns(request.context())) {
      if (new MovedDevice(host, hostNetns, container).moveOut(name)) {
        return true;
      }
    }
    LinkOwnership.requireNotLeft(
        request,
        host,
        container,
        "has no alias with the name of a device of the host, to move it back under (set it with"
            + " \"ip link set "
            + name
            + " alias NAME\")");
    return false;
  }

  private static void moveOut(AttachmentRequest request) throws CniException, IOException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      var moved = new AtomicBoolean();
      NetNsSession.<IOException>runIfPresent(
          request, host, container -> moved.set(moveOut(request, host, container)));
      if (moved.get()) {
        return;
      }
      Optional<Result.Interface> previous = previousInterface(request);
      if (previous.isPresent()) {
        Optional<String> ownName = request.config().view().nonEmpty("device");
        MovedDevice.restoreName(host, previous.get(), ownName);
      }
    }
  }

  /** Returns the interface of the previous result, whatever its sandbox. */
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
      return; // the runtime chooses a device for each container (deviceID)
    }
    DeviceSelector device = DeviceSelector.parse(request.config());
    // An interface may be in a container at the moment; a device missing from its bus is an error.
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
