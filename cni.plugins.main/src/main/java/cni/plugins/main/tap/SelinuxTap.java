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
 * A tap device with an SELinux context, which it takes from the process that creates it. The
 * threads of one process have one context, so that another process has to do it: the only thing for
 * which this project runs {@code ip}, as the reference plugin does.
 */
final class SelinuxTap {
  private static final Path SELINUX = Path.of("/sys/fs/selinux");

  private SelinuxTap() {}

  /**
   * Creates it in the namespace.
   *
   * @throws CniException code 7 if the host has no SELinux, code 999 if it has no iproute2
   * @throws IOException what {@code ip} says
   */
  static void create(TapSpec tap, String context, NetNsSession where)
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
    new HostCommand(words, Optional.of(context)).runIn(where);
  }
}
