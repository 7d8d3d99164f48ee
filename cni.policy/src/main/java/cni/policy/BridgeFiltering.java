// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Passes what a bridge forwards between its ports to the rules of the inet tables, by the bridge's
 * own options nf_call_iptables and nf_call_ip6tables of br_netfilter
 * (net/bridge/br_netfilter_hooks.c). The settings of the host, net.bridge.bridge-nf-call-*, are
 * left as they are: other bridges do not change, and a program that sets them to 0 does not open
 * this one.
 */
final class BridgeFiltering {
  /** It is there while the module br_netfilter is loaded. */
  private static final Path MODULE = Path.of("/proc/sys/net/bridge");

  private BridgeFiltering() {}

  /**
   * Requires the kernel module.
   *
   * @throws CniException code 50 if it is not loaded
   */
  static void requireModule() throws CniException {
    if (!Files.isDirectory(MODULE)) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "the kernel module br_netfilter is not loaded: without it policies do not see what"
              + " containers of one bridge send each other; run \"modprobe br_netfilter\" and add"
              + " br_netfilter to a file in /etc/modules-load.d");
    }
  }

  /**
   * Switches it on for a bridge.
   *
   * @throws CniException code 50 if the kernel module is not loaded
   * @throws IOException if the kernel refuses
   */
  static void enable(NetNsSession host, Link bridge) throws CniException, IOException {
    requireModule();
    if (!isEnabled(bridge)) {
      host.rtnetlink().execute(LinkRequests.setBridgeFiltering(bridge.index(), true));
    }
  }

  /** Returns whether it is switched on for a bridge. */
  static boolean isEnabled(Link bridge) {
    return bridge.kindData() instanceof Link.Bridge it && it.isFiltered();
  }
}
