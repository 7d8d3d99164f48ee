// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.netlink.ffm.netns.NetNs;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * The places of a host that are examined.
 *
 * @param networks the directory of network configurations
 * @param executables the directories of plugin executables (CNI_PATH)
 * @param modules the directories of plugin modules
 * @param cache the cache directory
 * @param hostNamespace the network namespace of the host side; absent for that of this process
 * @param namespaces the directory of named network namespaces
 * @param proc the mount point of procfs
 */
public record HostLocations(
    Path networks,
    List<Path> executables,
    List<Path> modules,
    Path cache,
    Optional<Path> hostNamespace,
    Path namespaces,
    Path proc) {
  /** Copies the lists. */
  public HostLocations {
    executables = List.copyOf(executables);
    modules = List.copyOf(modules);
  }

  /** Creates locations with {@code /run/netns} and {@code /proc}. */
  public HostLocations(
      Path networks,
      List<Path> executables,
      List<Path> modules,
      Path cache,
      Optional<Path> hostNamespace) {
    this(
        networks,
        executables,
        modules,
        cache,
        hostNamespace,
        NetNs.RUN_DIRECTORY,
        Path.of("/proc"));
  }
}
