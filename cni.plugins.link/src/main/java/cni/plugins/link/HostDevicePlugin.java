package cni.plugins.link;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.CollectRequest;
import cni.api.ErrorCode;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.route.Link;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.Attempt;
import cni.sandbox.InterfaceSetup;
import cni.sandbox.Ipam;
import cni.sandbox.Namespace;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Lends a container a device of the host; DEL takes it back. */
public final class HostDevicePlugin implements NetworkPlugin {
  private static final Path SYS = Path.of("/sys");

  /** The plugin as the runtime makes it. */
  public HostDevicePlugin() {}

  @Override
  public String type() {
    return "host-device";
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    HostDevice device = HostDevice.parse(request.config());
    var rollback = new Rollback();
    try (Namespace host = Namespace.ofHost(request.context());
        NetNs hostNetns = hostNetns(request.context());
        Namespace sandbox = Namespace.ofContainer(request, host)) {
      return Attempt.orTakeBack(
          "lending a device to " + request.attachment().sandbox(),
          rollback,
          () -> {
            var lent = new LentLink(host, hostNetns, sandbox);
            HostDevice.Entry entry = lookUp(device, host);
            Result made = lend(request, device, entry, lent, rollback);
            Result result = request.prevResult().orElse(Result.EMPTY).plus(made);
            return result.withDns(request.config().dns());
          });
    } catch (KernelException e) {
      throw Namespace.failure("opening the host's namespace", e);
    }
  }

  private static NetNs hostNetns(CallContext context) throws KernelException {
    Optional<Path> path = context.hostNamespace();
    return path.isPresent() ? NetNs.open(path.get()) : NetNs.current();
  }

  private static HostDevice.Entry lookUp(HostDevice device, Namespace host)
      throws CniException, KernelException {
    return device.isInSys()
        ? host.<HostDevice.Entry, CniException>withSys(() -> device.lookUp(SYS))
        : device.lookUp(SYS);
  }

  private static Result lend(
      AttachmentRequest request,
      HostDevice device,
      HostDevice.Entry entry,
      LentLink lent,
      Rollback rollback)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    Optional<Link> link = Optional.empty();
    Ipam.Disconnection giveBack = () -> {};
    if (!entry.forUserspace()) {
      Link found = lent.find(device, entry);
      link = Optional.of(lent.lend(found, request));
      giveBack = () -> lent.giveBack(name, found);
      rollback.add(giveBack::disconnect);
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
      made = InterfacePlugin.onInterface(made, assigned.get());
      if (link.isPresent()) {
        InterfaceSetup.begin(lent.sandbox(), name, true)
            .apply(link.get().index(), made, 0, request.context().deadline());
      }
    }
    return made;
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    HostDevice device = HostDevice.parse(request.config());
    Ipam.check(request);
    try (Namespace host = Namespace.ofHost(request.context());
        Namespace sandbox = Namespace.ofContainer(request, host)) {
      if (lookUp(device, host).forUserspace()) {
        AttachmentCheck.requireIndex(request, request.requirePrevResult());
        return;
      }
      Link link = InterfacePlugin.requireInterface(request, sandbox, "");
      if (link.alias().isEmpty()) {
        throw AttachmentCheck.differs(
            "interface %s in the container is no device of the host: its alias, by which it would"
                    .formatted(link.name())
                + " go back, is missing");
      }
    } catch (IOException e) {
      throw Namespace.failure("checking " + request.attachment().interfaceName(), e);
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
      Ipam.delete(request, () -> takeBack(request));
    } catch (IOException e) {
      throw Namespace.failure("taking back " + request.attachment().interfaceName(), e);
    }
  }

  private static void takeBack(AttachmentRequest request) throws CniException, IOException {
    String name = request.attachment().interfaceName();
    try (Namespace host = Namespace.ofHost(request.context())) {
      Optional<Namespace> there = Namespace.ofContainerIfPresent(request, host);
      if (there.isPresent()) {
        try (Namespace sandbox = there.get();
            NetNs hostNetns = hostNetns(request.context())) {
          if (new LentLink(host, hostNetns, sandbox).takeBack(name)) {
            return;
          }
        }
      }
      Optional<Result.Interface> was = was(request);
      if (was.isPresent()) {
        Optional<String> ownName = request.config().view().nonEmpty("device");
        LentLink.restore(host, was.get(), ownName);
      }
    }
  }

  /** The device as the result of ADD has it, whose sandbox may be gone by now. */
  private static Optional<Result.Interface> was(AttachmentRequest request) {
    return request.prevResult().orElse(Result.EMPTY).interfaces().stream()
        .filter(it -> !it.onHost() && it.name().equals(request.attachment().interfaceName()))
        .findFirst();
  }

  @Override
  public void collect(CollectRequest request) throws CniException {
    Ipam.collect(request);
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    Ipam.status(request);
    if (!HostDevice.isNamed(request.config().view())) {
      return; // the runtime chooses one for each container (deviceID)
    }
    HostDevice device = HostDevice.parse(request.config());
    // An interface may be lent to somebody just now; what a bus does not have, nobody can get.
    if (device.isInSys()) {
      try (Namespace host = Namespace.ofHost(request.context())) {
        lookUp(device, host);
      } catch (CniException e) {
        throw new CniException(ErrorCode.NOT_AVAILABLE, String.valueOf(e.getMessage()), e);
      } catch (KernelException e) {
        throw Namespace.failure("looking for the device", e);
      }
    }
  }
}
