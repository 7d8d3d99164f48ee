// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.api.AddressReport;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class StoreReportTest {
  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;

  private static AddressReport.Pool pool(TestNode node) throws Exception {
    return node.plugin().report(node.networkRequest()).pools().getFirst();
  }

  private TestNode node(String range) {
    return etcd.node("a", directory)
        .with("\"ranges\":[[{\"subnet\":\"10.1.0.0/29\"%s}]]".formatted(range));
  }

  @Test
  void poolsCountAddressesThatAreHeldButCannotBeAssignedAgain() throws Exception {
    TestNode node = node("");
    for (int i = 0; i < 5; i++) {
      node.add("c" + i);
    }
    var full =
        new AddressReport.Pool("10.1.0.1-10.1.0.6", BigInteger.valueOf(5), BigInteger.valueOf(5));
    assertEquals(full, pool(node));
    assertEquals(full, pool(node(",\"exclude\":[\"10.1.0.2\",\"10.1.0.4\"]")));
    // 10.1.0.1 can be assigned now, and the container that has 10.1.0.3 keeps it.
    TestNode changed = node(",\"exclude\":[\"10.1.0.2\"],\"gateway\":\"10.1.0.3\"");
    AddressReport report = changed.plugin().report(changed.networkRequest());
    assertEquals(
        List.of(
            new AddressReport.Pool(
                "10.1.0.1-10.1.0.6", BigInteger.valueOf(6), BigInteger.valueOf(5))),
        report.pools());
    assertEquals(6, report.blocks().getFirst().size());
  }
}
