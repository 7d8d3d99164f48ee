// SPDX-License-Identifier: Apache-2.0
/**
 * The resident host: one process that serves the callers of plugin executables and of the command,
 * which reach it by a Unix socket.
 */
module cni.daemon {
  requires transitive cni.runtime;
  requires cni.netlink.ffm;

  exports cni.daemon;
}
