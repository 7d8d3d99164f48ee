// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertThrows;

import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A container whose namespace was deleted and created again, without a DEL between. */
@KernelTest
class ReplacedContainerTest {
  /** With addresses that the former container's need not be released for. */
  private static final String BRIDGE =
      """
      { "type": "bridge", "bridge": "br0", "isGateway": true, "ipMasq": true,
        "ipam": { "type": "static",
                  "addresses": [{ "address": "10.50.0.2/24" }, { "address": "fd50::2/64" }] } }
      """;

  private TestHost host;
  private NetNs a;
  private Cni cni;

  @BeforeEach
  void open() throws IOException {
    host = new TestHost();
    a = host.container("a");
    cni = host.openCni();
    host.network("n", "1.1.0", BRIDGE);
  }

  @AfterEach
  void close() throws IOException {
    cni.close();
    host.close();
  }

  /** Adds a plugin to the chain that fails in ADD. */
  private void addFails() throws Exception {
    host.script("failing", "[ $CNI_COMMAND = ADD ] || exit 0; exit 1");
    host.network("n", "1.1.0", BRIDGE, "{ \"type\": \"failing\" }");
    assertThrows(CniException.class, () -> cni.network("n").add(attachment(a)));
  }

  @Test
  void failedAddOfItIsRolledBack() throws Exception {
    cni.network("n").add(attachment(a));
    host.recreateOnceRemoved(a);
    addFails();
    try (NetNs again = NetNs.open(a.path())) {
      host.assertNothingLeft("n", again);
      host.network("n", "1.1.0", BRIDGE);
      cni.network("n").add(attachment(again));
      cni.network("n").check(attachment(again));
      cni.network("n").delete(attachment(again));
      host.assertNothingLeft("n", again);
    }
  }

  @Test
  void failedAddOfAContainerThatWasNotReplacedKeepsItsAttachment() throws Exception {
    cni.network("n").add(attachment(a));
    addFails();
    host.network("n", "1.1.0", BRIDGE);
    cni.network("n").check(attachment(a));
    cni.network("n").delete(attachment(a));
    host.assertNothingLeft("n", a);
  }
}
