// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.Attachment;
import cni.netlink.ffm.netns.NetNs;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Pattern;

/** The names of network namespaces and of their containers as people know them. */
public final class NamespaceName {
  /** The container id that cnitool, and {@code cni add}, derive from the path of a namespace. */
  private static final Pattern DERIVED_ID = Pattern.compile("cnitool-[0-9a-f]{20}");

  /** What {@code /run/netns} is called where container engines store it. */
  private static final Path OLD_RUN_DIRECTORY = Path.of("/var/run/netns");

  private NamespaceName() {}

  /**
   * Returns the name by which {@code ip netns} knows a namespace.
   *
   * @param namespace the path of the namespace, which need not exist
   * @return absent if the path is not in {@code /run/netns}
   */
  public static Optional<String> of(Path namespace) {
    Path directory = namespace.getParent();
    return NetNs.RUN_DIRECTORY.equals(directory) || OLD_RUN_DIRECTORY.equals(directory)
        ? Optional.of(String.valueOf(namespace.getFileName()))
        : Optional.empty();
  }

  /**
   * Returns the name of an attachment's container in reports: its id, or the name of its namespace
   * if the id was only derived from that.
   */
  public static String ofContainer(Attachment attachment) {
    String id = attachment.containerId();
    return DERIVED_ID.matcher(id).matches()
        ? attachment.namespace().flatMap(NamespaceName::of).orElse(id)
        : id;
  }
}
