// SPDX-License-Identifier: Apache-2.0
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

/** The way in which a configuration selects a device of the host. */
sealed interface DeviceSelector {
  /** Selects an interface by its name ({@code device}). */
  record ByName(String name) implements DeviceSelector {}

  /** Selects an interface by its hardware address ({@code hwaddr}), in lower case with colons. */
  record ByMac(String mac) implements DeviceSelector {}

  /** Selects a device by its path ({@code kernelpath}), relative to /sys. */
  record ByKernelPath(String path) implements DeviceSelector {}

  /** Selects a device by its address on the PCI bus ({@code pciBusID}). */
  record ByPciId(String id) implements DeviceSelector {}

  /** Selects the runtime's choice (capability {@code deviceID}), on the PCI or auxiliary bus. */
  record ByDeviceId(String id) implements DeviceSelector {}

  /**
   * A device as sysfs shows it.
   *
   * @param pciId its address, if it was found on the PCI bus
   * @param usesUserspaceDriver whether a driver for DPDK hands it to a program; it then has no
   *     interface
   * @param interfaceName its first interface, if it has one
   */
  record SysfsDevice(
      Optional<String> pciId, boolean usesUserspaceDriver, Optional<String> interfaceName) {}

  /** The drivers that hand a device to a program. */
  Set<String> USERSPACE_DRIVERS = Set.of("vfio-pci", "uio_pci_generic", "igb_uio");

  /**
   * Reads a configuration. The first that is present counts: {@code device}, {@code hwaddr}, {@code
   * kernelpath}, the runtime's {@code deviceID}, {@code pciBusID}.
   *
   * @throws CniException code 7 if none is present or its value is invalid
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
    throw missing(view);
  }

  private static CniException missing(ConfigObject view) {
    return view.invalid(
        "device",
        "is missing: give device, hwaddr, kernelpath or pciBusID, or the capability deviceID");
  }

  /**
   * Validates a configuration, in which the runtime's choice may be still missing.
   *
   * @throws CniException code 7 if a value is invalid, or the configuration neither selects a
   *     device nor declares the capability {@code deviceID}
   */
  static void validate(PluginConfig config) throws CniException {
    boolean configured = isConfigured(config.view()); // reads all keys
    Optional<ConfigObject> runtime = config.runtimeConfig();
    boolean chosen = runtime.isPresent() && runtime.get().has("deviceID");
    if (configured || chosen) {
      parse(config);
    } else if (!config.capabilities().contains("deviceID")) {
      throw missing(config.view());
    }
  }

  /** Whether the configuration selects a device itself, instead of leaving it to the runtime. */
  static boolean isConfigured(ConfigObject view) throws CniException {
    boolean configured = false;
    for (String key : List.of("device", "hwaddr", "kernelpath", "pciBusID")) {
      configured |= view.nonEmpty(key).isPresent();
    }
    return configured;
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

  /** Whether the device has to be looked up in sysfs. */
  default boolean needsSysfs() {
    return !(this instanceof ByName) && !(this instanceof ByMac);
  }

  /**
   * Looks the device up in sysfs.
   *
   * @param sys the path of sysfs, which is /sys except in tests
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
          ErrorCode.IO_FAILURE, describe() + " cannot be looked up: " + IoErrors.describe(e), e);
    }
  }

  /** Describes the selection as the configuration writes it, for messages. */
  default String describe() {
    return switch (this) {
      case ByName(String name) -> "device " + name;
      case ByMac(String mac) -> "hwaddr " + mac;
      case ByKernelPath(String path) -> "kernelpath /sys/" + path;
      case ByPciId(String id) -> "pciBusID " + id;
      case ByDeviceId(String id) -> "deviceID " + id;
    };
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
          "the host has no device " + device.getFileName() + " in " + device.getParent());
    }
    return device;
  }

  /** Returns the first interface by name; those of virtio devices are one directory deeper. */
  private static Optional<String> interfaceOf(Path device) throws IOException {
    List<Path> netDirectories = new ArrayList<>(List.of(device.resolve("net")));
    for (Path virtio : sorted(device, "virtio*")) {
      netDirectories.add(virtio.resolve("net"));
    }
    for (Path directory : netDirectories) {
      List<Path> interfaces = Files.isDirectory(directory) ? sorted(directory, "*") : List.of();
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
