// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.internal.BootId;
import cni.netlink.ffm.netns.NetNs;
import java.util.Optional;

/**
 * Whose attachments a data directory has.
 *
 * @param namespace the host's network namespace, as ip(8) and ls(1) show it. Its number is unique
 *     until the machine restarts
 * @param boot the id of the boot; empty if the kernel does not show it
 */
record HostMark(String namespace, Optional<String> boot) {
  /** Returns the mark of a host, in this boot. */
  static HostMark of(NetNs.Identity host) {
    return new HostMark("net:[" + host.inode() + "]", BootId.current());
  }

  /** Reads the content of the file. */
  static HostMark parse(String text) {
    String[] parts = text.strip().split(" ", 2);
    return new HostMark(parts[0], parts.length > 1 ? Optional.of(parts[1]) : Optional.empty());
  }

  /** Returns the content of the file. */
  String text() {
    return namespace + boot.map(id -> " " + id).orElse("");
  }

  /**
   * Returns whether the machine has restarted since: the attachments and the rules in the kernel
   * are gone, and the numbers of namespaces have other meanings.
   */
  boolean isOfEarlierBoot() {
    Optional<String> present = BootId.current();
    return boot.isPresent() && present.isPresent() && !boot.equals(present);
  }
}
