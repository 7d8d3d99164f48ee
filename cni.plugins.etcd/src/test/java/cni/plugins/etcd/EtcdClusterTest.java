// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.plugins.etcd.TestCertificates.KeyForm;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd(commands = "curl")
@Timeout(240)
class EtcdClusterTest {
  private static String value(EtcdCluster cluster, String key) throws Exception {
    return cluster.etcdctl("get", key, "--print-value-only").strip();
  }

  @Test
  void majorityServesWritesAndMinorityDoesNot() throws Exception {
    try (EtcdCluster cluster = EtcdCluster.start(3)) {
      cluster.etcdctl("put", "a", "1");
      EtcdMember leader = cluster.leader();
      leader.kill();
      cluster.awaitHealthy();
      cluster.etcdctl("put", "a", "2");
      EtcdMember second = cluster.leader();
      assertNotSame(leader, second);

      second.kill();
      EtcdMember last =
          cluster.members().stream().filter(EtcdMember::isRunning).findFirst().orElseThrow();
      long start = System.nanoTime();
      Etcdctl.Output write = cluster.tryEtcdctl(last, "put", "a", "3", "--command-timeout=2s");
      assertNotEquals(0, write.status(), write.toString());
      assertTrue(System.nanoTime() - start < Duration.ofSeconds(20).toNanos());

      leader.start();
      second.start();
      cluster.awaitHealthy();
      // The write of the minority may or may not have been kept.
      assertTrue(value(cluster, "a").matches("[23]"), value(cluster, "a"));
    }
  }

  @Test
  void pausedMemberDoesNotReply() throws Exception {
    try (EtcdCluster cluster = EtcdCluster.start(3)) {
      EtcdMember leader = cluster.leader();
      leader.pause();
      cluster.awaitHealthy();
      assertNotSame(leader, cluster.leader());
      Etcdctl.Output read = cluster.tryEtcdctl(leader, "get", "a", "--command-timeout=2s");
      assertNotEquals(0, read.status(), read.toString());
      cluster.etcdctl("put", "a", "1");
      leader.resume();
      cluster.awaitHealthy();
      assertEquals("1", value(cluster, "a"));
    }
  }

  @Test
  void leaderMoves() throws Exception {
    try (EtcdCluster cluster = EtcdCluster.start(3)) {
      EtcdMember old = cluster.leader();
      EtcdMember moved = cluster.moveLeader();
      assertNotSame(old, moved);
      assertSame(moved, cluster.leader());
    }
  }

  @Test
  void snapshotRestoresValuesAndRevision(@TempDir Path directory) throws Exception {
    Path snapshot = directory.resolve("snapshot");
    try (EtcdCluster cluster = EtcdCluster.start(EtcdClusterOptions.members(3).in(directory))) {
      cluster.etcdctl("put", "a", "old");
      long revision = cluster.revision();
      cluster.snapshot(snapshot);
      cluster.etcdctl("put", "a", "new");
      assertEquals(revision + 1, cluster.revision());
      var endpoints = cluster.endpoints();

      cluster.restore(snapshot);
      assertEquals("old", value(cluster, "a"));
      assertEquals(revision, cluster.revision());
      assertEquals(endpoints, cluster.endpoints());
    }
    try (Stream<Path> left = Files.list(directory)) {
      assertEquals(1, left.count(), "only the snapshot is left");
    }
  }

  @Test
  void compactionDiscardsOldRevisions() throws Exception {
    try (EtcdCluster cluster = EtcdCluster.start(1)) {
      cluster.etcdctl("put", "a", "1");
      cluster.etcdctl("put", "a", "2");
      long compacted = cluster.compact();
      cluster.defragment();
      Etcdctl.Output old =
          cluster.tryEtcdctl(cluster.member(0), "get", "a", "--rev=" + (compacted - 1));
      assertTrue(old.error().contains("compacted"), old.toString());
      assertEquals("2", value(cluster, "a"));
    }
  }

  private static EtcdClusterOptions tls(TestCertificates certificates, boolean clientRequired)
      throws Exception {
    var server = certificates.server("127.0.0.1");
    var client = clientRequired ? certificates.client("user", KeyForm.EC_PKCS8) : null;
    return EtcdClusterOptions.members(1)
        .withTls(
            new EtcdClusterOptions.Tls(
                certificates.authority(), server, client, clientRequired, null));
  }

  private static String gateway(EtcdCluster cluster, String... curlOptions) throws Exception {
    List<String> command =
        new ArrayList<>(List.of("curl", "-sS", "-m", "10", "-d", "{\"key\":\"YQ==\"}"));
    command.addAll(List.of(curlOptions));
    command.add(cluster.endpoints().getFirst() + "/v3/kv/range");
    Process curl = new ProcessBuilder(command).redirectErrorStream(true).start();
    return new String(curl.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  @Test
  void tlsRefusesAClientWithoutCertificate(@TempDir Path directory) throws Exception {
    var certificates = new TestCertificates(directory);
    try (EtcdCluster cluster = EtcdCluster.start(tls(certificates, true))) {
      cluster.etcdctl("put", "a", "1");
      assertEquals("1", value(cluster, "a"));
      Etcdctl.Output refused =
          new Etcdctl(List.of(), anonymous(certificates), null)
              .tryRun(cluster.endpoints(), "get", "a", "--command-timeout=2s");
      assertNotEquals(0, refused.status(), refused.toString());
      String authority = certificates.authority().toString();
      var client = certificates.client("user", KeyForm.RSA_PKCS1);
      String response =
          gateway(
              cluster,
              "--cacert",
              authority,
              "--cert",
              client.certificate().toString(),
              "--key",
              client.key().toString());
      assertTrue(response.contains("\"value\":\"MQ==\""), response);
      assertTrue(gateway(cluster, "--cacert", authority).startsWith("curl: "));
    }
  }

  private static EtcdClusterOptions.Tls anonymous(TestCertificates certificates) throws Exception {
    return new EtcdClusterOptions.Tls(
        certificates.authority(), certificates.server("unused"), null, false, null);
  }

  @Test
  void tlsAcceptsAClientWithoutCertificateIfNoneIsRequired(@TempDir Path directory)
      throws Exception {
    var certificates = new TestCertificates(directory);
    try (EtcdCluster cluster = EtcdCluster.start(tls(certificates, false))) {
      cluster.etcdctl("put", "a", "1");
      String response = gateway(cluster, "--cacert", certificates.authority().toString());
      assertTrue(response.contains("\"value\":\"MQ==\""), response);
    }
  }

  @Test
  void certificateIsForTheAdvertisedNameOnly(@TempDir Path directory) throws Exception {
    var certificates = new TestCertificates(directory);
    var tls =
        new EtcdClusterOptions.Tls(
            certificates.authority(), certificates.server("etcd.test"), null, false, "etcd.test");
    try (EtcdCluster cluster = EtcdCluster.start(EtcdClusterOptions.members(3).withTls(tls))) {
      cluster.etcdctl("put", "a", "1");
      assertTrue(cluster.etcdctl("member", "list").contains("https://etcd.test:"));
      String response = gateway(cluster, "--cacert", certificates.authority().toString());
      assertTrue(response.startsWith("curl: (60)"), response);
    }
  }

  @Test
  void authRefusesAWrongPassword() throws Exception {
    try (EtcdCluster cluster = EtcdCluster.start(3)) {
      cluster.enableAuth("root-password", "user", "user-password", "cni/");
      cluster.awaitHealthy();
      cluster.etcdctl("put", "other", "1");
      assertEquals(0, putAs(cluster, "user:user-password", "cni/a").status());
      Etcdctl.Output wrong = putAs(cluster, "user:wrong", "cni/a");
      assertTrue(wrong.error().contains("invalid user ID or password"), wrong.toString());
      Etcdctl.Output outside = putAs(cluster, "user:user-password", "other");
      assertTrue(outside.error().contains("permission denied"), outside.toString());
      cluster.leader().kill();
      cluster.awaitHealthy();
      cluster.compact();
    }
  }

  private static Etcdctl.Output putAs(EtcdCluster cluster, String user, String key)
      throws Exception {
    return new Etcdctl(List.of(), null, null)
        .tryRun(cluster.endpoints(), "--user=" + user, "put", key, "1");
  }
}
