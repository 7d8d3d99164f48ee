// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.tap;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The tap plugin: devices equal to those of the reference; each implementation checks and deletes
 * the other's.
 */
@KernelTest(reference = true)
class TapTest {
  private final TestHost host;
  private final NetNs a;

  TapTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
  }

  private void network(String options) throws IOException {
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "tap"%s,
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "ranges": [[{ "subnet": "10.61.0.0/24" }], [{ "subnet": "fd61::/64" }]] } }
        """
            .formatted(options));
  }

  private String device() throws IOException {
    return TestBed.run(a, "ip", "-d", "link", "show", "eth0")
        .replaceAll("link/ether \\S+", "")
        .replaceAll("designated_(bridge|root) \\S+", "")
        .replaceAll("timer +\\S+", "")
        .replaceAll("\\n +alias \\S+", "") // the reference sets none
        .replaceAll("(?m)^\\d+", "");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ", \"multiQueue\": true",
        ", \"owner\": 1234",
        ", \"owner\": 1234, \"group\": 4321",
        ", \"owner\": 1, \"group\": 4294967294, \"multiQueue\": true",
        ", \"mtu\": 1400, \"mac\": \"c2:11:22:33:44:55\"",
        ", \"bridge\": \"inner0\""
      })
  void deviceMatchesReference(String options) throws Exception {
    TestBed.run(a, "ip", "link", "add", "inner0", "type", "bridge");
    network(options);
    Cni cni = host.openCni();
    cni.network("n").add(attachment(a));
    String ours = device();
    String link = TestBed.run(a, "ip", "link", "show", "eth0");
    assertTrue(link.contains("alias cni:n/" + attachment(a).containerId() + "/eth0"), link);
    assertTrue(TestBed.run(a, "ip", "addr", "show", "eth0").contains("10.61.0.2/24"));
    assertTrue(TestBed.run(a, "ip", "addr", "show", "eth0").contains("fd61::2/64"));
    cni.network("n").check(attachment(a));
    cni.network("n").delete(attachment(a));
    cni.network("n").delete(attachment(a));
    assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "tun"));
    host.assertNothingLeft("n", a);
    // IPv4 only: the reference times out on the IPv6 address of a tap that no program has opened.
    String v4 = "\"ranges\": [[{ \"subnet\": \"10.61.0.0/24\" }]]";
    host.network(
        "n",
        "1.1.0",
        "{\"type\":\"tap\""
            + options
            + ",\"ipam\":{\"type\":\"host-local\",\"dataDir\":\"@DATA@\","
            + v4
            + "}}");
    Cni reference = host.withReference("tap", "host-local");
    reference.network("n").add(attachment(a));
    assertEquals(device(), ours);
    host.openCni().network("n").check(attachment(a));
    host.openCni().network("n").delete(attachment(a));
    assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "tun"));
    host.openCni().network("n").add(attachment(a));
    reference.network("n").check(attachment(a));
    reference.network("n").delete(attachment(a));
    assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "tun"));
  }

  @Test
  void invalidConfigurationIsRejectedAndLeavesNothing() throws Exception {
    for (String options :
        new String[] {
          ", \"bridge\": \"inner0\"",
          ", \"owner\": -1",
          ", \"mtu\": 70000",
          ", \"mac\": \"01:00:5e:00:00:01\"",
          ", \"selinuxContext\": \"system_u:system_r:container_t:s0\""
        }) {
      network(options);
      CniException e =
          assertThrows(CniException.class, () -> host.openCni().network("n").add(attachment(a)));
      assertEquals(7, e.code(), e.getMessage());
      host.openCni().network("n").delete(attachment(a));
      assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "tun"), options);
      host.assertNothingLeft("n", a);
    }
    network("");
    TestBed.run(a, "ip", "tuntap", "add", "mode", "tap", "name", "eth0");
    CniException e =
        assertThrows(CniException.class, () -> host.openCni().network("n").add(attachment(a)));
    assertTrue(String.valueOf(e.getMessage()).contains("exists already"), e::getMessage);
  }
}
