// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Configurations that name a plugin for assigning addresses that does not assign any. */
@KernelTest
class IpamTypeTest {
  private static final List<String> INTERFACE_PLUGINS =
      List.of(
          "\"type\": \"bridge\"",
          "\"type\": \"ptp\"",
          "\"type\": \"macvlan\", \"master\": \"up0\"");

  private final TestHost host;
  private final NetNs a;

  IpamTypeTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    host.outside();
  }

  private static void requireRefusal(String type, Executable operation) {
    CniException e = assertThrows(CniException.class, operation);
    assertEquals(ErrorCode.INVALID_CONFIG.value(), e.code(), e::getMessage);
    assertTrue(
        e.getMessage().contains("ipam.type \"" + type + "\" is no ipam plugin: name one"),
        e::getMessage);
  }

  @ParameterizedTest
  @ValueSource(strings = {"bridge", "ptp", "macvlan", "loopback", "tuning", "portmap", "debug"})
  void otherPluginsAreRefused(String type) throws Exception {
    for (String plugin : INTERFACE_PLUGINS) {
      host.network("n", "1.1.0", "{ " + plugin + ", \"ipam\": { \"type\": \"" + type + "\" } }");
      try (Cni cni = host.openCni()) {
        requireRefusal(type, () -> cni.network("n").add(attachment(a)));
        requireRefusal(type, () -> cni.network("n").delete(attachment(a)));
        requireRefusal(type, () -> cni.network("n").validate().requireNoErrors());
        requireRefusal(type, () -> cni.network("n").status());
      }
      host.assertNothingLeft("n", a);
    }
  }

  /** An executable's role is not known. */
  @Test
  void anExecutableIsAllowed() throws Exception {
    host.script(
        "addresses",
        """
        cat > /dev/null
        case $CNI_COMMAND in
        VERSION) echo '{ "cniVersion": "1.0.0", "supportedVersions": [ "1.0.0" ] }' ;;
        ADD) echo '{ "cniVersion": "1.0.0", "ips": [ { "address": "10.9.0.2/24" } ] }' ;;
        esac
        """);
    host.network("n", "1.0.0", "{ \"type\": \"bridge\", \"ipam\": { \"type\": \"addresses\" } }");
    try (Cni cni = host.openCni()) {
      cni.network("n").validate().requireNoErrors();
      cni.network("n").add(attachment(a));
      cni.network("n").delete(attachment(a));
    }
    host.assertNothingLeft("n", a);
  }
}
