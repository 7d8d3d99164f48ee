// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.hostdevice;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Search for a device in the containers, for STATUS: the network remains available while its device
 * is in use, unlike one whose device does not exist.
 */
final class DeviceInUse {
  private DeviceInUse() {}

  /** Returns whether a namespace of /run/netns, where runtimes keep those of containers, has it. */
  static boolean isInContainer(DeviceSelector device) throws IOException {
    if (!Files.isDirectory(NetNs.RUN_DIRECTORY)) {
      return false;
    }
    try (DirectoryStream<Path> namespaces = Files.newDirectoryStream(NetNs.RUN_DIRECTORY)) {
      for (Path namespace : namespaces) {
        if (contains(namespace, device)) {
          return true;
        }
      }
    }
    return false;
  }

  private static boolean contains(Path namespace, DeviceSelector device) throws IOException {
    try (NetNs netns = NetNs.open(namespace);
        RouteSocket rtnetlink = RouteSocket.open(netns)) {
      return rtnetlink.links().stream().anyMatch(link -> isDevice(link, device));
    } catch (KernelException e) {
      return false; // deleted meanwhile, or no namespace
    }
  }

  private static boolean isDevice(Link link, DeviceSelector device) {
    return switch (device) {
      case DeviceSelector.ByName(String name) -> link.alias().equals(name);
      case DeviceSelector.ByMac(String mac) ->
          !link.alias().isEmpty() && (link.mac().equals(mac) || link.permanentMac().equals(mac));
      default -> false;
    };
  }
}
