package ${package};

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.conformance.Conformance;
import cni.conformance.ConformanceTests;
import cni.conformance.ModuleUnderTest;
import cni.conformance.SubjectConfig;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** The plugin on the real kernel, in namespaces that exist for a test; needs root. */
class PluginKernelTest {
  private static final String CHAIN =
      """
      { "cniVersion": "1.1.0", "name": "n", "plugins": [
          { "type": "ptp", "ipam": { "type": "static",
                "addresses": [ { "address": "10.9.0.2/24", "gateway": "10.9.0.1" } ] } },
          { "type": "${artifactId}", "alias": "blue" } ] }
      """;

  @TempDir private Path directory;

  @BeforeEach
  void requireRoot() {
    assumeTrue(System.getProperty("user.name").equals("root"), "needs root");
  }

  @AfterEach
  void removeNamespaces() throws IOException {
    NetNs.delete("${artifactId}-host");
    NetNs.delete("${artifactId}-container");
  }

  @Test
  void theInterfaceHasTheAliasAsLongAsItIsAttached() throws Exception {
    try (NetNs host = NetNs.create("${artifactId}-host");
        NetNs container = NetNs.create("${artifactId}-container");
        Rtnetlink inside = Rtnetlink.open(container);
        Cni cni = Cni.builder().hostNamespace(host.path()).cache(directory).executables().build()) {
      var config = NetworkConfig.parse(CHAIN.getBytes(StandardCharsets.UTF_8), "test");
      Network network = cni.network(config);
      Attachment attachment = Attachment.of("c1", container.path(), "eth0");
      network.add(attachment);
      Link link = inside.links("eth0").getFirst();
      assertEquals("blue", link.alias());
      network.check(attachment);
      inside.execute(LinkRequests.setAlias(link.index(), "red"));
      assertThrows(CniException.class, () -> network.check(attachment));
      network.delete(attachment);
      network.delete(attachment);
    }
  }

  /** Every requirement of the specification that can be asked of it. */
  @TestFactory
  Stream<DynamicTest> conformance() throws CniException, IOException {
    try (InputStream in = PluginKernelTest.class.getResourceAsStream("/setting.json");
        Cni cni = Cni.builder().cache(directory).executables().oneShot().build()) {
      byte[] json = Objects.requireNonNull(in).readAllBytes();
      Setting setting = Setting.parse(Json.parse(json, "setting.json"));
      var subject = new ModuleSubject(new Plugin(), cni.plugins(), Duration.ofSeconds(10));
      return ConformanceTests.of(new Conformance(subject, setting));
    }
  }
}
