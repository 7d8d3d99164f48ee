package ${package};

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.conformance.Conformance;
import cni.conformance.ConformanceTests;
import cni.conformance.ModuleUnderTest;
import cni.conformance.SubjectConfig;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The plugin on the real kernel, in network namespaces that exist for one test. Needs root. */
@KernelTest
class PluginKernelTest {
  private static final String PTP =
      """
      { "type": "ptp", "ipam": { "type": "static",
          "addresses": [ { "address": "10.9.0.2/24", "gateway": "10.9.0.1" } ] } }
      """;

  private static final String PLUGIN = "{ \"type\": \"${artifactId}\", \"alias\": \"blue\" }";

  @Test
  void addSetsTheAliasAndCheckDetectsAChange(TestHost host) throws Exception {
    NetNs container = host.container("a");
    host.network("n", "1.1.0", PTP, PLUGIN);
    try (Cni cni = host.openCni()) {
      Network network = cni.network("n");
      Attachment attachment = TestHost.attachment(container);
      network.add(attachment);
      assertTrue(TestHost.run(container, "ip", "link", "show", "eth0").contains("alias blue"));
      network.check(attachment);
      TestHost.run(container, "ip", "link", "set", "eth0", "alias", "red");
      assertThrows(CniException.class, () -> network.check(attachment));
      network.delete(attachment);
      network.delete(attachment); // DEL can be repeated
      assertEquals(List.of(), host.results());
    }
  }

  /** Every requirement of the CNI specification that applies to the plugin. */
  @TestFactory
  Stream<DynamicTest> conformance(TestHost host) throws CniException {
    Plugin plugin = new Plugin();
    try (Cni cni =
        Cni.builder().plugins(plugin).cache(host.cache()).executables().oneShot().build()) {
      SubjectConfig config = SubjectConfig.of(plugin.type(), cni.plugins());
      var subject = new ModuleUnderTest(plugin, cni.plugins(), Duration.ofSeconds(10));
      return ConformanceTests.of(new Conformance(subject, config));
    }
  }
}
