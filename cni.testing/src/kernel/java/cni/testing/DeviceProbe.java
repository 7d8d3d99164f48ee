// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.testing.RequiresDevice.Device;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Finds out which devices the kernel has, by creating them in a namespace that ends with it. */
public final class DeviceProbe {
  static final String VETH = "ip link add name veth1 type veth peer name veth2";
  static final String FILTER =
      VETH + " && tc qdisc add dev veth1 clsact && tc filter add dev veth1 ingress";

  private static final Map<Device, Boolean> KNOWN = new ConcurrentHashMap<>();

  private DeviceProbe() {}

  /**
   * Returns whether the kernel has a device; loads its module if there is one.
   *
   * @throws UncheckedIOException if {@code unshare} cannot be started
   */
  public static boolean has(Device device) {
    return KNOWN.computeIfAbsent(device, DeviceProbe::probe);
  }

  private static boolean probe(Device device) {
    try {
      Process process =
          new ProcessBuilder("unshare", "-n", "sh", "-c", device.script())
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor() == 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while probing the kernel", e);
    }
  }
}
