// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.hostdevice;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.PluginConfig;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Lookup of devices in a sysfs tree laid out like the kernel's. */
class DeviceSelectorTest {
  private FileSystem files;
  private Path sys;

  @BeforeEach
  void open() throws IOException {
    files = Jimfs.newFileSystem(Configuration.unix());
    sys = files.getPath("/sys");
    Files.createDirectories(sys.resolve("bus/pci/devices"));
    Files.createDirectories(sys.resolve("bus/pci/drivers/vfio-pci"));
    Files.createDirectories(sys.resolve("bus/pci/drivers/mlx5_core"));
    device("devices/pci0000:00/0000:00:1f.6", "bus/pci/devices/0000:00:1f.6", "net/enp0s31f6");
    device("devices/pci0000:00/0000:00:03.0", "bus/pci/devices/0000:00:03.0", "virtio2/net/eth0");
    device("devices/pci0000:00/0000:00:04.0", "bus/pci/devices/0000:00:04.0", "x");
    Files.createSymbolicLink(
        sys.resolve("devices/pci0000:00/0000:00:04.0/driver"),
        sys.resolve("bus/pci/drivers/vfio-pci"));
    Files.createSymbolicLink(
        sys.resolve("devices/pci0000:00/0000:00:1f.6/driver"),
        sys.resolve("bus/pci/drivers/mlx5_core"));
    device("devices/aux/mlx5_core.sf.4", "bus/auxiliary/devices/mlx5_core.sf.4", "net/sf4");
  }

  private void device(String path, String link, String content) throws IOException {
    Files.createDirectories(sys.resolve(path).resolve(content));
    Path on = sys.resolve(link);
    Files.createDirectories(Objects.requireNonNull(on.getParent()));
    Files.createSymbolicLink(on, sys.resolve(path));
  }

  @AfterEach
  void close() throws IOException {
    files.close();
  }

  private static DeviceSelector parse(String text) throws CniException {
    String json = "{\"name\":\"n\",\"type\":\"host-device\"," + text + "}";
    return DeviceSelector.parse(PluginConfig.of(new ConfigObject(Json.parse(json, "test"), "")));
  }

  private DeviceSelector.SysfsDevice find(String text) throws CniException {
    return parse(text).lookUp(sys);
  }

  @Test
  void findsDeviceByBusId() throws CniException {
    DeviceSelector.SysfsDevice entry = find("\"pciBusID\":\"0000:00:1f.6\"");
    assertEquals(Optional.of("enp0s31f6"), entry.interfaceName());
    assertEquals(Optional.of("0000:00:1f.6"), entry.pciId());
    entry = find("\"pciBusID\":\"0000:00:03.0\"");
    assertEquals(Optional.of("eth0"), entry.interfaceName(), "virtio");
    entry =
        find("\"runtimeConfig\":{\"deviceID\":\"mlx5_core.sf.4\"},\"pciBusID\":\"0000:00:03.0\"");
    assertEquals(
        Optional.of("sf4"), entry.interfaceName(), "auxiliary, before the configuration's");
    assertTrue(entry.pciId().isEmpty());
    entry = find("\"runtimeConfig\":{\"deviceID\":\"0000:00:1f.6\"}");
    assertEquals(Optional.of("0000:00:1f.6"), entry.pciId());
  }

  @Test
  void recognizesUserspaceDriver() throws CniException {
    assertTrue(find("\"pciBusID\":\"0000:00:04.0\"").usesUserspaceDriver());
    assertTrue(!find("\"pciBusID\":\"0000:00:1f.6\"").usesUserspaceDriver());
  }

  @Test
  void findsDeviceByKernelPath() throws CniException {
    DeviceSelector.SysfsDevice entry =
        find("\"kernelpath\":\"/sys/devices/pci0000:00/0000:00:1f.6\"");
    assertEquals(Optional.of("enp0s31f6"), entry.interfaceName());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"x\":1",
        "\"device\":\"\"",
        "\"hwaddr\":\"02:11:22\"",
        "\"hwaddr\":\"01:00:5e:00:00:01\"",
        "\"kernelpath\":\"/sys/devices/../../etc\"",
        "\"kernelpath\":\"devices/x\"",
        "\"kernelpath\":\"/sys/devices/nope\"",
        "\"pciBusID\":\"../../../etc\"",
        "\"pciBusID\":\"0000:00:05.0\"",
        "\"runtimeConfig\":{\"deviceID\":\"0000:00:05.0\"}",
        "\"runtimeConfig\":{\"deviceID\":\"a/b\"}"
      })
  void invalidOrMissingDeviceIsRejected(String text) {
    CniException e = assertThrows(CniException.class, () -> find(text));
    assertEquals(ErrorCode.INVALID_CONFIG.value(), e.code(), e.getMessage());
  }
}
