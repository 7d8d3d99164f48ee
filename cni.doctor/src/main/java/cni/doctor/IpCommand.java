// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import java.nio.file.Path;

/** The command {@code ip} in a network namespace, as an administrator types it. */
public final class IpCommand {
  private IpCommand() {}

  /**
   * Returns the command: {@code ip -n blue link show eth0}. {@code ip -n} takes only names below
   * {@code /run/netns}, so that {@code nsenter} enters others.
   *
   * @param namespace the path of the namespace
   * @param arguments the arguments of {@code ip}
   */
  public static String in(Path namespace, String arguments) {
    return NamespaceName.of(namespace)
        .map(name -> "ip -n %s %s".formatted(RemedyText.quoted(name), arguments))
        .orElseGet(
            () -> "nsenter --net=%s ip %s".formatted(RemedyText.quoted(namespace), arguments));
  }
}
