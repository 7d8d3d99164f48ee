// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is found of attachments in the cache, and of those that are no longer there. */
@KernelTest(commands = {"ip", "nft"})
class AttachmentExaminationsTest {
  private static void network(TestHost host, String backend) throws Exception {
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(
            "\"ipMasq\": true, \"ipMasqBackend\": \"%s\",".formatted(backend)),
        """
        { "type": "portmap", "capabilities": { "portMappings": true }, "backend": "%s" }
        """
            .formatted(backend));
  }

  @Test
  void interfaceIsGone(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      NetNs a = host.namespaces().getLast();
      TestBed.run(a, "ip", "link", "del", "eth0");
      Finding found =
          examined.assertOnly(
              FindingKind.INTERFACE_GONE,
              "link: no eth0",
              "cni update n " + a.path() + " --recreate");
      assertEquals(TestHost.attachment(a).id(), found.attachment().orElseThrow());
    }
  }

  @Test
  void namespaceIsGone(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      NetNs a = host.namespaces().getLast();
      host.delete(a);
      examined.assertOnly(
          FindingKind.NAMESPACE_GONE, a.path() + " is no network namespace", "cni gc n");
    }
  }

  @Test
  void addressIsNotReserved(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      Path file = host.ipamData().resolve("n/10.50.0.2");
      Files.delete(file);
      examined.assertOnly(
          FindingKind.RESERVATION_DIFFERS, "there is no file " + file, "cni repair n ");
    }
  }

  @Test
  void addressIsReservedForAnother(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      Path file = host.ipamData().resolve("n/10.50.0.2");
      Files.writeString(file, "other\r\neth0");
      examined.assertOnly(
          FindingKind.RESERVATION_DIFFERS, file + " reserves for other/eth0", "cni repair n ");
    }
  }

  @Test
  void checkFails(TestHost host) throws Exception {
    host.outside();
    network(host, "nftables");
    try (var examined = new ExaminedHost(host)) {
      NetNs a = host.container("a");
      examined.publish("n", a, 8080, 80, "tcp");
      examined.run("ip route add default via " + TestHost.OUTSIDE_V4);
      examined.assertHealthy();

      TestBed.run(host.netns(), "nft", "flush table ip cni_hostport");
      examined.assertOnly(FindingKind.CHECK_FAILED, "portmap", "cni repair n " + a.path());
    }
  }

  @Test
  void addWasInterrupted(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      moveResultToJournal(host);
      Finding found = examined.assertOnly(FindingKind.ADD_INTERRUPTED, "begun", "cni gc n");
      assertEquals(List.of("n"), found.networks());
    }
  }

  private static void moveResultToJournal(TestHost host) throws Exception {
    Path results = host.cache().resolve("results");
    String name = String.valueOf(Directories.entries(results).getFirst().getFileName());
    Path journal = Files.createDirectories(host.cache().resolve("begun"));
    Files.move(results.resolve(name), journal.resolve(name));
  }

  @Test
  void cachedResultIsIncomplete(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      Path file = host.cache().resolve("results/n-other-eth0");
      Files.writeString(file, "{ \"kind\": \"cniCacheV1\", \"netw");
      examined.assertOnly(FindingKind.CACHE_UNREADABLE, file.toString(), "rm " + file);
    }
  }

  @Test
  void cachedResultIsADirectory(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      Path file = Files.createDirectory(host.cache().resolve("results/n-dir-eth0"));
      examined.assertOnly(FindingKind.CACHE_UNREADABLE, file.toString(), "rm -r " + file);
    }
  }

  @Test
  void addressIsReservedWhereGcFreesIt(TestHost host) throws Exception {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""));
    try (var examined = new ExaminedHost(host)) {
      examined.add("n", host.container("a"));
      Path file = host.ipamData().resolve("n/10.50.0.77");
      Files.writeString(file, "gone\r\neth0");
      Files.setLastModifiedTime(file, FileTime.from(Instant.now().minus(Duration.ofMinutes(1))));
      examined.assertOnly(FindingKind.ADDRESS_LEAKED, file.toString(), "cni gc n");
    }
  }

  @Test
  void addressIsReservedForNoAttachment(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      Path file = host.ipamData().resolve("n/10.50.0.77");
      Files.writeString(file, "gone\r\neth0");
      examined.assertHealthy(); // an ADD may be under way

      Files.setLastModifiedTime(file, FileTime.from(Instant.now().minus(Duration.ofMinutes(1))));
      examined.assertOnly(
          FindingKind.ADDRESS_LEAKED, file + " of gone/eth0", "rm " + file + "  # ");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void rulesOfNoAttachmentAreInstalled(String backend, TestHost host) throws Exception {
    host.outside();
    network(host, backend);
    try (var examined = new ExaminedHost(host)) {
      NetNs a = host.container("a");
      examined.run("ip route add default via " + TestHost.OUTSIDE_V4);
      examined.publish("n", a, 8080, 80, "tcp");
      examined.assertHealthy();

      host.deleteResults();
      host.deleteReservations("n");
      Finding found =
          examined.assertOnly(FindingKind.RULES_LEAKED, TestBed.nameOf(a) + ", and ", "cni gc n");
      assertEquals(List.of("n"), found.networks());
    }
  }

  @Test
  void findingsAreRestrictedToANetworkAndANamespace(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      NetNs a = host.namespaces().getLast();
      NetNs b = host.container("b");
      examined.add("n", b);
      TestBed.run(a, "ip", "link", "del", "eth0");
      TestBed.run(b, "ip", "link", "del", "eth0");
      Path other = Files.writeString(host.networks().resolve("m.conflist"), "{}");

      assertEquals(3, examined.examine().findings().size());
      var network = new Scope(Optional.of("n"), Optional.empty());
      assertEquals(2 + 1, examined.examine(network).findings().size()); // m.conflist may define n
      var namespace = new Scope(Optional.of("n"), Optional.of(b.path()));
      assertEquals(
          List.of(TestHost.attachment(b).id()),
          examined.examine(namespace).findings().stream()
              .flatMap(it -> it.attachment().stream())
              .toList());
      var unknown = new Scope(Optional.of("x"), Optional.empty());
      assertEquals(1, examined.examine(unknown).findings().size());
      Files.delete(other);
      assertEquals(List.of(), examined.examine(unknown).findings());
    }
  }
}
