// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.ReferencePlugins;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * DEL and GC of rules that the reference plugins added to the tables of legacy iptables. The
 * reference plugins run with a PATH that starts with a directory in which {@code iptables} is the
 * legacy variant.
 */
@KernelTest(
    commands = {"iptables-legacy", "ip6tables-legacy"},
    reference = true)
class LegacyIptablesTest {
  private TestHost host;
  private NetNs a;

  @BeforeEach
  void open() throws Exception {
    host = new TestHost();
    assumeTrue(
        TestBed.tryRun(host.netns(), "iptables-legacy", "-t", "nat", "-S").status() == 0,
        "kernel lacks the legacy tables of iptables");
    a = host.container("a");
    Path commands = Files.createDirectories(host.ipamData().resolve("commands"));
    for (String name : new String[] {"iptables", "ip6tables"}) {
      Files.createSymbolicLink(commands.resolve(name), Path.of("/usr/sbin/" + name + "-legacy"));
    }
    for (String type : new String[] {"bridge", "portmap", "firewall"}) {
      host.script(
          type, "PATH=%s:$PATH exec %s/%s".formatted(commands, ReferencePlugins.directory(), type));
    }
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true, \"ipMasqBackend\": \"iptables\","),
        "{ \"type\": \"portmap\", \"backend\": \"iptables\", \"capabilities\": { \"portMappings\":"
            + " true } }",
        "{ \"type\": \"firewall\" }");
  }

  @AfterEach
  void close() throws IOException {
    host.close();
  }

  private Cni reference() throws CniException {
    return host.builder()
        .executables(host.executables(), ReferencePlugins.directory())
        .forceExecutables("bridge", "portmap", "firewall")
        .build();
  }

  private Attachment mapped() throws CniException {
    String ports = "[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"tcp\"}]";
    return attachment(a, "portMappings", ports);
  }

  private String rules() throws IOException {
    var all = new StringBuilder();
    for (String command : new String[] {"iptables-legacy", "ip6tables-legacy"}) {
      for (String table : new String[] {"nat", "filter"}) {
        all.append(TestBed.run(host.netns(), command, "-t", table, "-S"));
      }
    }
    return all.toString();
  }

  @Test
  void deleteRemovesLegacyRulesOfReference() throws Exception {
    reference().network("n").add(mapped());
    String before = rules();
    assertTrue(before.contains("CNI-DN-") && before.contains("10.50.0.2/32"), before);
    host.openCni().network("n").delete(mapped());
    requireNothingLeft();
    host.openCni().network("n").delete(mapped());
    host.assertNothingLeft("n", a);
  }

  @Test
  void gcRemovesLegacyRulesOfNetwork() throws Exception {
    reference().network("n").add(mapped());
    host.deleteResults();
    host.openCni().network("n").gc(Set.of(attachment(a).id()));
    assertTrue(rules().contains("CNI-DN-"));
    host.openCni().network("n").gc(Set.of());
    String after = rules();
    assertFalse(after.contains("CNI-DN-") || after.contains(attachment(a).containerId()), after);
  }

  private void requireNothingLeft() throws IOException {
    String after = rules();
    assertFalse(
        after.contains("CNI-DN-")
            || after.contains("10.50.0.2")
            || after.contains("fd50::2")
            || after.contains(attachment(a).containerId()),
        after);
  }
}
