// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.tap;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.route.TapSpec;
import cni.plugins.support.HostCommand;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Creation of a tap device with an SELinux context. A tap device has the context of the process
 * that creates it, and all threads of a process share one context. The command {@code ip} therefore
 * creates it in a child process with the context, as in the reference plugin. Nothing else in this
 * project runs {@code ip}.
 */
final class SelinuxTap {
  private static final Path SELINUX = Path.of("/sys/fs/selinux");

  private SelinuxTap() {}

  /**
   * Creates the device in a namespace.
   *
   * @throws CniException code 7 if SELinux is not enabled, code 999 if iproute2 is not installed
   * @throws IOException if {@code ip} fails; the message has its standard error
   */
  static void create(TapSpec tap, String context, NetNsSession container)
      throws CniException, IOException {
    if (Files.notExists(SELINUX)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "selinuxContext " + context + " cannot be given: SELinux is not enabled on this host");
    }
    Path ip =
        HostCommand.find("ip", HostCommand.DIRECTORIES)
            .orElseThrow(
                () ->
                    new CniException(
                        ErrorCode.INTERNAL,
                        "selinuxContext needs the command ip, which is not installed (iproute2)"));
    List<String> words =
        new ArrayList<>(List.of(ip.toString(), "tuntap", "add", "mode", "tap", "name", tap.name()));
    if (tap.multiQueue()) {
      words.add("multi_queue");
    }
    tap.owner().ifPresent(id -> words.addAll(List.of("user", Integer.toUnsignedString(id))));
    tap.group().ifPresent(id -> words.addAll(List.of("group", Integer.toUnsignedString(id))));
    new HostCommand(words, Optional.of(context)).runIn(container);
  }
}
