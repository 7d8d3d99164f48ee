// SPDX-License-Identifier: Apache-2.0
package com.example.embedder;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import org.junit.jupiter.api.Test;

/** Runs the program against a host and a container that exist only for the test. Needs root. */
@KernelTest
class MainTest {
  @Test
  void containerIsAttachedAndDetached(TestHost host) throws Exception {
    NetNs container = host.container("a");
    host.dualStack("mynet", "");
    try (Cni cni = host.openCni()) {
      assertEquals("10.50.0.2/24", Main.attachAndDetach(cni, container.path()));
    }
    host.assertNothingLeft("mynet", container);
  }
}
