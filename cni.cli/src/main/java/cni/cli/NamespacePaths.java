// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import java.nio.file.Files;
import java.nio.file.Path;

/** Network namespaces as the command line names them. */
final class NamespacePaths {
  private NamespacePaths() {}

  /**
   * Resolves an argument to a path: it is a path, or the name of a namespace below /run/netns. A
   * name without a slash resolves to /run/netns even if that namespace no longer exists, so that
   * DEL finds what ADD made; a file of that name in the current directory is used only if it is a
   * network namespace, as by cnitool.
   */
  static Path resolve(String argument) {
    Path path = Invocation.resolve(argument).normalize();
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
   * Opens the namespace of a process, given by its number, or of an argument as {@link #resolve}.
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
          (process ? "process " : "")
              + argument
              + " has no network namespace to join: "
              + e.getMessage(),
          e);
    }
  }

  /** Kills every process whose main thread is in a namespace. */
  static void killProcessesIn(NetNs.Identity namespace) {
    ProcessHandle.allProcesses()
        .filter(process -> isIn(process, namespace))
        .forEach(ProcessHandle::destroyForcibly);
  }

  private static boolean isIn(ProcessHandle process, NetNs.Identity namespace) {
    try (NetNs netns = NetNs.open(Path.of("/proc", Long.toString(process.pid()), "ns", "net"))) {
      return netns.identity().equals(namespace);
    } catch (KernelException e) {
      return false; // the process has ended
    }
  }
}
