package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import java.nio.file.Files;
import java.nio.file.Path;

/** How the command line names namespaces. */
final class NamespacePaths {
  private NamespacePaths() {}

  /**
   * The path that an argument means: a path, or the name of a namespace that {@code ip netns} knows
   * or knew. A name stays a name whatever else the current directory has under it, so that DEL
   * finds what ADD made; only a namespace there counts, as for cnitool.
   */
  static Path resolve(String argument) {
    Path path = Path.of(argument).toAbsolutePath().normalize();
    boolean plainName = argument.indexOf('/') < 0 && !argument.startsWith(".");
    if (!plainName || argument.isEmpty()) {
      return path;
    }
    Path named = NetNs.pathOf(argument);
    return Files.notExists(named) && isNamespace(path) ? path : named;
  }

  private static boolean isNamespace(Path path) {
    try (NetNs _ = NetNs.open(path)) {
      return true;
    } catch (KernelException e) {
      return false;
    }
  }

  /**
   * The namespace that an argument means: that of a process, by its number, or as {@link #resolve}.
   *
   * @throws CniException code 8 if there is no such namespace
   */
  static NetNs open(String argument) throws CniException {
    boolean process = argument.matches("[1-9]\\d{0,8}");
    Path path = process ? Path.of("/proc", argument, "ns", "net") : resolve(argument);
    try {
      return NetNs.open(path);
    } catch (KernelException e) {
      throw new CniException(
          ErrorCode.INVALID_NAMESPACE,
          (process ? "process " : "") + argument + " has no namespace to join: " + e.getMessage(),
          e);
    }
  }

  /** Ends every process that is in a namespace. */
  static void killProcessesIn(NetNs.Identity namespace) {
    ProcessHandle.allProcesses()
        .filter(process -> isIn(process, namespace))
        .forEach(ProcessHandle::destroyForcibly);
  }

  private static boolean isIn(ProcessHandle process, NetNs.Identity namespace) {
    try (NetNs netns = NetNs.open(Path.of("/proc", Long.toString(process.pid()), "ns", "net"))) {
      return netns.identity().equals(namespace);
    } catch (KernelException e) {
      return false; // it has ended
    }
  }
}
