// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;

/** A change to an attachment between ADD and DEL, by its container or by the host. */
enum Evasion {
  /** The chain changes the hardware address, the host's administrator the veth's name. */
  MAC_TUNED_AND_HOST_END_RENAMED,
  MAC_CHANGED_AND_ADDRESSES_FLUSHED,
  MAC_AND_ADDRESSES_REPLACED,
  ALIAS_REMOVED_TOO,
  ALIAS_OF_UNKNOWN_CONTAINER_TOO,
  ALIAS_OF_LIVE_CONTAINER_TOO,
  RENAMED,
  RENAMED_AND_NAME_GIVEN_TO_ANOTHER_LINK,
  RENAMED_AND_NAME_AND_MAC_GIVEN_TO_ANOTHER_LINK,
  NAMESPACE_WITHOUT_PATH;

  /** Whether only the end of a veth on the host allows it, or the deletion after it. */
  boolean isOfVeth() {
    return this == MAC_TUNED_AND_HOST_END_RENAMED || this == NAMESPACE_WITHOUT_PATH;
  }

  /** Whether the container claims that its interface is another container's. */
  boolean isClaim() {
    return name().startsWith("ALIAS_OF");
  }

  boolean isRenaming() {
    return name().startsWith("RENAMED");
  }

  /**
   * Makes the change.
   *
   * @param a the container
   * @param result the result of its ADD
   */
  void apply(TestHost host, NetNs a, Result result) throws IOException {
    String mac = macOf(a, "eth0");
    switch (this) {
      case MAC_TUNED_AND_HOST_END_RENAMED -> renameHostEnd(host, result);
      case MAC_CHANGED_AND_ADDRESSES_FLUSHED -> change(a, false, "");
      case MAC_AND_ADDRESSES_REPLACED -> change(a, true, "");
      case ALIAS_REMOVED_TOO -> {
        change(a, false, "");
        TestBed.run(a, "ip", "link", "set", "eth0", "alias", "");
      }
      case ALIAS_OF_UNKNOWN_CONTAINER_TOO -> change(a, true, "cni:n/nobody/eth0");
      case ALIAS_OF_LIVE_CONTAINER_TOO -> change(a, true, "cni:n/live/eth0");
      case RENAMED -> rename(a);
      case RENAMED_AND_NAME_GIVEN_TO_ANOTHER_LINK -> {
        rename(a);
        TestBed.run(a, "ip", "link", "add", "eth0", "type", "bridge");
      }
      case RENAMED_AND_NAME_AND_MAC_GIVEN_TO_ANOTHER_LINK -> {
        rename(a);
        TestBed.run(a, "ip", "link", "add", "eth0", "address", mac, "type", "veth");
      }
      case NAMESPACE_WITHOUT_PATH -> host.delete(a); // the test holds it open
    }
  }

  private static void renameHostEnd(TestHost host, Result result) throws IOException {
    String port =
        result.interfaces().stream()
            .filter(it -> it.isOnHost() && it.name().startsWith("veth"))
            .findFirst()
            .orElseThrow()
            .name();
    TestBed.run(host.netns(), "ip", "link", "set", port, "down");
    TestBed.run(host.netns(), "ip", "link", "set", port, "name", "port0");
    TestBed.run(host.netns(), "ip", "link", "set", "port0", "up");
  }

  private static void change(NetNs a, boolean replaceAddresses, String alias) throws IOException {
    TestBed.run(a, "ip", "link", "set", "eth0", "down");
    // A vlan or ipvlan may refuse: it keeps that of its parent.
    TestBed.tryRun(a, "ip", "link", "set", "eth0", "address", "02:aa:bb:cc:dd:ee");
    TestBed.run(a, "ip", "link", "set", "eth0", "up");
    TestBed.run(a, "ip", "addr", "flush", "dev", "eth0");
    if (replaceAddresses) {
      TestBed.run(a, "ip", "addr", "add", "10.66.0.99/24", "dev", "eth0");
    }
    if (!alias.isEmpty()) {
      TestBed.run(a, "ip", "link", "set", "eth0", "alias", alias);
    }
  }

  private static void rename(NetNs a) throws IOException {
    TestBed.run(a, "ip", "link", "set", "eth0", "down");
    TestBed.run(a, "ip", "link", "set", "eth0", "name", "hidden0");
    TestBed.run(a, "ip", "link", "set", "hidden0", "up");
    TestBed.tryRun(a, "ip", "addr", "add", "10.66.0.2/24", "dev", "hidden0");
  }

  private static String macOf(NetNs netns, String name) throws IOException {
    return TestBed.run(netns, "ip", "-o", "link", "show", name)
        .replaceAll("(?s).*link/ether (\\S+).*", "$1");
  }
}
