package cni.plugins.main.hostdevice;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.PluginConfig;
import cni.api.internal.IoErrors;
import cni.netlink.ffm.route.Mac;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** How a configuration tells which device of the host it means. */
sealed interface DeviceSelector {
  /** An interface by its name. */
  record ByName(String name) implements DeviceSelector {}

  /** An interface by its hardware address, lower case with colons. */
  record ByMac(String mac) implements DeviceSelector {}

  /** A device in the kernel's tree: a path below /sys. */
  record ByKernelPath(String path) implements DeviceSelector {}

  /** A device by its address on the PCI bus. */
  record ByPciId(String id) implements DeviceSelector {}

  /** What the runtime chose (capability {@code deviceID}): a device on the PCI or auxiliary bus. */
  record ByDeviceId(String id) implements DeviceSelector {}

  /**
   * What the kernel has for a device.
   *
   * @param pciId its address on the PCI bus, if that is where it was found
   * @param usesUserspaceDriver whether it belongs to a program (DPDK), and is no interface
   * @param interfaceName its first interface, if it has one
   */
  record SysfsDevice(
      Optional<String> pciId, boolean usesUserspaceDriver, Optional<String> interfaceName) {}

  /** Drivers that hand a device to a program. */
  Set<String> USERSPACE_DRIVERS = Set.of("vfio-pci", "uio_pci_generic", "igb_uio");

  /**
   * Reads a configuration. Where it tells several ways, the name counts most, then the hardware
   * address, the path, the runtime's choice, the PCI address.
   *
   * @throws CniException code 7 if it tells none, or one that cannot be
   */
  static DeviceSelector parse(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    if (view.nonEmpty("device").isPresent()) {
      return new ByName(view.nonEmpty("device").get());
    }
    if (view.nonEmpty("hwaddr").isPresent()) {
      return new ByMac(view.parsed("hwaddr", it -> Mac.format(Mac.parse(it))).orElseThrow());
    }
    if (view.nonEmpty("kernelpath").isPresent()) {
      return new ByKernelPath(view.parsed("kernelpath", DeviceSelector::devicePath).orElseThrow());
    }
    Optional<ConfigObject> runtime = config.runtimeConfig();
    if (runtime.isPresent() && runtime.get().nonEmpty("deviceID").isPresent()) {
      return new ByDeviceId(busId(runtime.get(), "deviceID"));
    }
    if (view.nonEmpty("pciBusID").isPresent()) {
      return new ByPciId(busId(view, "pciBusID"));
    }
    throw view.invalid("device", "is missing: give device, hwaddr, kernelpath or pciBusID");
  }

  /** Whether the configuration tells a device, and does not leave it to the runtime. */
  static boolean isConfigured(ConfigObject view) throws CniException {
    for (String key : List.of("device", "hwaddr", "kernelpath", "pciBusID")) {
      if (view.nonEmpty(key).isPresent()) {
        return true;
      }
    }
    return false;
  }

  private static String busId(ConfigObject view, String key) throws CniException {
    String id = view.nonEmpty(key).orElseThrow();
    if (!id.matches("[A-Za-z0-9_][A-Za-z0-9_.:-]*")) {
      throw view.invalid(key, "is not the name of a device on a bus, such as 0000:00:1f.6");
    }
    return id;
  }

  private static String devicePath(String text) {
    try {
      Path path = Path.of(text).normalize();
      if (path.startsWith("/sys/devices")) {
        return Path.of("/sys").relativize(path).toString();
      }
    } catch (InvalidPathException e) {
      throw new IllegalArgumentException("is not a path", e);
    }
    throw new IllegalArgumentException("must be a path below /sys/devices");
  }

  /** Whether it has to be looked up in /sys. */
  default boolean needsSysfs() {
    return !(this instanceof ByName) && !(this instanceof ByMac);
  }

  /**
   * Looks it up in /sys.
   *
   * @param sys that, or what stands for it in a test
   * @throws CniException code 7 if there is no such device, code 5 if it cannot be read
   */
  default SysfsDevice lookUp(Path sys) throws CniException {
    Path pci = sys.resolve("bus/pci/devices");
    try {
      return switch (this) {
        case ByPciId(String id) -> onPci(pci, id);
        case ByDeviceId(String id) when Files.exists(pci.resolve(id)) -> onPci(pci, id);
        case ByDeviceId(String id) -> plain(sys.resolve("bus/auxiliary/devices").resolve(id));
        case ByKernelPath(String path) -> plain(sys.resolve(path));
        case ByName(String name) -> new SysfsDevice(Optional.empty(), false, Optional.of(name));
        case ByMac _ -> new SysfsDevice(Optional.empty(), false, Optional.empty());
      };
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, this + " cannot be looked up: " + IoErrors.describe(e), e);
    }
  }

  private static SysfsDevice onPci(Path pci, String id) throws CniException, IOException {
    Path device = existing(pci.resolve(id));
    Path driver = device.resolve("driver");
    boolean forUserspace =
        Files.exists(driver)
            && USERSPACE_DRIVERS.contains(String.valueOf(driver.toRealPath().getFileName()));
    return new SysfsDevice(Optional.of(id), forUserspace, interfaceOf(device));
  }

  private static SysfsDevice plain(Path device) throws CniException, IOException {
    return new SysfsDevice(Optional.empty(), false, interfaceOf(existing(device)));
  }

  private static Path existing(Path device) throws CniException {
    if (!Files.exists(device)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "there is no device "
              + device.getFileName()
              + " on this host, see "
              + device.getParent());
    }
    return device;
  }

  /** The first by name; those of virtio are one level deeper. */
  private static Optional<String> interfaceOf(Path device) throws IOException {
    List<Path> places = new ArrayList<>(List.of(device.resolve("net")));
    for (Path virtio : sorted(device, "virtio*")) {
      places.add(virtio.resolve("net"));
    }
    for (Path place : places) {
      List<Path> interfaces = Files.isDirectory(place) ? sorted(place, "*") : List.of();
      if (!interfaces.isEmpty()) {
        return Optional.of(String.valueOf(interfaces.getFirst().getFileName()));
      }
    }
    return Optional.empty();
  }

  private static List<Path> sorted(Path directory, String pattern) throws IOException {
    List<Path> files = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory, pattern)) {
      stream.forEach(files::add);
    }
    files.sort(Comparator.naturalOrder());
    return files;
  }
}
