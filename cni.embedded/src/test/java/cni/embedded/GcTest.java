// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.GcReport;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Which attachments GC keeps and removes. */
@KernelTest
class GcTest {
  private final TestHost host;
  private final NetNs a;
  private final NetNs b;
  private final Cni cni;

  GcTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""));
    cni = host.openCni();
  }

  @BeforeEach
  void attach() throws CniException {
    network().add(attachment(a));
    network().add(attachment(b));
  }

  @AfterEach
  void close() {
    cni.close();
  }

  private Network network() throws CniException {
    return cni.network("n");
  }

  private static AttachmentId id(NetNs container) {
    return attachment(container).id();
  }

  @Test
  void everythingThatExistsIsKept() throws Exception {
    assertEquals(Set.of(id(a), id(b)), network().livingAttachments());
    GcReport report = network().gcDead();
    assertEquals(List.of(), report.deleted());
    assertEquals(Set.of(id(a), id(b)), Set.copyOf(report.kept()));
    assertEquals(List.of("bridge"), report.collectors());
    assertEquals(4, host.reservations("n").size());
    network().check(attachment(a));
  }

  @Test
  void whatHasNoInterfaceOrNamespaceAnyMoreIsRemoved() throws Exception {
    TestBed.run(a, "ip", "link", "del", "eth0");
    assertEquals(List.of(id(a)), network().gcDead().deleted());
    assertEquals(Set.of(id(b)), network().knownAttachments());
    assertEquals(2, host.reservations("n").size());
    host.recreate(b); // another namespace at the same path
    assertEquals(List.of(id(b)), network().gcDead().deleted());
    assertEquals(Set.of(), network().knownAttachments());
    host.assertNothingLeft("n", a);
  }

  @Test
  void aPlanChangesNothing() throws Exception {
    GcReport plan = network().planGc(Set.of(id(b)));
    assertEquals(List.of(id(a)), plan.deleted());
    assertEquals(List.of(id(b)), plan.kept());
    network().check(attachment(a));
    assertEquals(4, host.reservations("n").size());
  }

  @Test
  void gcOfASetIsExact() throws Exception {
    assertEquals(List.of(id(a)), network().gc(Set.of(id(b))).deleted());
    network().check(attachment(b));
    assertEquals(List.of(id(b)), network().gc(Set.of()).deleted());
    host.assertNothingLeft("n", a, b);
  }

  @Test
  void anAttachmentWhoseFileIsDamagedIsKept() throws Exception {
    Path file = host.cache().resolve("results").resolve(host.results().getFirst());
    Files.writeString(file, "{broken");
    network().gcDead();
    assertEquals(2, host.results().size());
    assertEquals(4, host.reservations("n").size());
  }

  @Test
  void disableGcForbidsIt() throws Exception {
    Path file = host.networks().resolve("n.conflist");
    Files.writeString(file, Files.readString(file).replaceFirst("\\{", "{ \"disableGC\": true,"));
    assertEquals(List.of(), network().gc(Set.of()).deleted());
    assertEquals(List.of(), network().planGc(Set.of()).deleted());
    assertEquals(2, host.results().size());
  }
}
