// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.hostdevice;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.main.ContainerInterface;
import cni.plugins.main.InterfaceComparison;
import cni.plugins.support.HostReadiness;
import cni.plugins.support.InterfaceConfigurator;
import cni.plugins.support.Ipam;
import cni.plugins.support.LoopbackFilter;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/** The host-device plugin: ADD moves a device of the host into the container, DEL moves it back. */
public final class HostDevicePlugin implements UpdatablePlugin {
  private static final Path SYSFS = Path.of("/sys");

  /** Creates the plugin, for the service loader. */
  public HostDevicePlugin() {}

  @Override
  public String type() {
    return "host-device";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.INTERFACE);
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
            Result previous = LoopbackFilter.previousResult(request).orElse(Result.EMPTY);
            Result result = previous.merge(created);
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

  /** Returns only keys of the result: any other would move the device. */
  @Override
  public Set<String> changeableKeys() {
    return Set.of("dns");
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    DeviceSelector device = DeviceSelector.parse(request.desired().config());
    var comparison = InterfaceComparison.start(request, differences);
    try {
      if (!lookUp(device, comparison.host()).usesUserspaceDriver()) {
        Optional<Link> link = comparison.find("");
        if (link.isPresent()) {
          comparison.compareUpAndAddresses(link.get());
          compareAlias(comparison, link.get(), device);
        }
      }
    } catch (IOException e) {
      throw NetNsSession.failure("comparing " + request.desired().attachment().interfaceName(), e);
    }
    return comparison.result();
  }

  /** The alias holds the device's name on the host; it can only be restored from the key device. */
  private static void compareAlias(
      InterfaceComparison comparison, Link link, DeviceSelector device) {
    if (!link.alias().isEmpty()) {
      return;
    }
    String finding =
        "interface %s in the container has no alias with the name of a device of the host"
            .formatted(link.name());
    if (device instanceof DeviceSelector.ByName(String name)) {
      comparison
          .links()
          .change(
              finding,
              "set the alias of %s to %s".formatted(link.name(), name),
              LinkRequests.setAlias(link.index(), name),
              LinkRequests.setAlias(link.index(), ""));
    } else {
      comparison.differences().addUnchangeable(finding);
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>Needs the configuration only to find a device that the container has renamed: the alias of
   * the device holds its name on the host.
   */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try {
      Ipam.delete(request, () -> moveOut(request));
    } catch (IOException e) {
      throw NetNsSession.failure("moving back " + request.attachment().interfaceName(), e);
    }
  }

  private static void moveOut(AttachmentRequest request) throws CniException, IOException {
    var search = new DeviceSearch(request);
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      var moved = new AtomicBoolean();
      boolean present =
          NetNsSession.<IOException>runIfPresent(
              request,
              host,
              container -> {
                try (NetNs hostNetns = hostNetns(request.context())) {
                  moved.set(new MovedDevice(host, hostNetns, container).moveOut(search));
                }
              });
      if (moved.get()) {
        return;
      }
      boolean restored =
          search.previous().isPresent()
              && MovedDevice.restoreName(host, search.previous().get(), search.ownName());
      if (!restored && present) {
        search.requireOnHost(host);
      }
    }
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    Ipam.gc(request);
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    PluginConfig config = request.config();
    Ipam.validate(
        request,
        () -> {
          config.dns();
          DeviceSelector.validate(config);
        });
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    Ipam.status(request);
    if (!DeviceSelector.isConfigured(request.config().view())) {
      HostReadiness.require(request, host -> {}); // that its namespace exists
      return; // the runtime chooses a device for each container (deviceID)
    }
    DeviceSelector device = DeviceSelector.parse(request.config());
    HostReadiness.require(
        request,
        host -> {
          DeviceSelector.SysfsDevice sysfsDevice = lookUp(device, host);
          boolean found =
              device.needsSysfs() // lookUp found it on its bus; its interface may be in a container
                  || MovedDevice.find(host, device, sysfsDevice).isPresent()
                  || DeviceInUse.isInContainer(device);
          if (!found) {
            throw MovedDevice.missing(device);
          }
        });
  }
}
