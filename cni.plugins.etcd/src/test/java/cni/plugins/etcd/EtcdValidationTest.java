// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.plugins.etcd.EtcdClusterOptions.PemIdentity;
import cni.plugins.etcd.TestCertificates.KeyForm;
import cni.plugins.etcd.client.TlsOptions;
import cni.runtime.Cni;
import cni.runtime.PluginSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code cni validate} reports about a configuration of the plugin, without etcd. */
class EtcdValidationTest {
  private static final String RANGES = "'ranges': [[{'subnet': '10.1.0.0/16'}]]";

  @TempDir private Path directory;

  /** Returns the problems as {@code KEY VALUE REASON}. */
  private List<String> validate(String scheme, String keys) throws IOException {
    return validate("'endpoints': ['%s://127.0.0.1:2379'], %s".formatted(scheme, keys));
  }

  private List<String> validate(String keys) throws IOException {
    String text =
        """
        {'cniVersion': '1.0.0', 'name': 'n', 'plugins': [{'type': 'bridge', 'ipam': {
          'type': 'etcd', 'node': 'a', %s}}]}
        """
            .formatted(keys);
    Path file = Files.writeString(directory.resolve("n.conflist"), text.replace('\'', '"'));
    try (Cni cni =
        Cni.builder()
            .networks(directory)
            .pluginDirectories()
            .searchOrder(PluginSource.BUILT_IN)
            .cache(directory.resolve("cache"))
            .oneShot()
            .build()) {
      return cni.validate(file).problems().stream().map(String::valueOf).toList();
    }
  }

  @Test
  void clientCertificatesThatAreNotValidNowGetAWarning() throws Exception {
    var certificates = new TestCertificates(directory.resolve("ca"));
    PemIdentity expired = certificates.expiredClient("node");
    List<String> problems =
        validate(
            "https",
            RANGES
                + ", 'tls': {'cert': '%s', 'key': '%s'}"
                    .formatted(expired.certificate(), expired.key()));
    requireNamed(problems, "ipam.tls.cert");
    String problem = problems.getFirst();
    assertTrue(problem.contains(": warning: "), problem);
    assertTrue(problem.contains("contains a certificate that expired at 2"), problem);
    assertTrue(problem.contains(expired.certificate().toString()), problem);
    var tls =
        new TlsOptions(
            Optional.empty(),
            Optional.of(certificates.client("node", KeyForm.EC_PKCS8).certificate()),
            Optional.empty(),
            Optional.empty());
    Instant now = Instant.now().plusSeconds(1);
    assertEquals(Optional.empty(), tls.validityProblem(now));
    String early = tls.validityProblem(now.minus(Duration.ofDays(1))).orElseThrow();
    assertTrue(early.startsWith("contains a certificate that is not valid before 2"), early);
  }

  @Test
  void endpointsThatAreListedTwiceGetAWarning() throws Exception {
    List<String> problems =
        validate(RANGES + ", 'endpoints': ['http://h:1', 'http://h:2', 'http://H:1/']");
    requireNamed(problems, "lists http://H:1/ twice");
    assertTrue(problems.getFirst().contains(": warning: "), problems::toString);
  }

  @Test
  void stateDirectoryThatIsAFileIsReported() throws Exception {
    Path file = Files.createFile(directory.resolve("file"));
    requireNamed(validate("http", RANGES + ", 'dataDir': '" + file + "'"), "ipam.dataDir");
    requireNamed(validate("http", RANGES + ", 'dataDir': '" + directory + "'"));
    requireNamed(validate("http", RANGES + ", 'dataDir': '" + directory.resolve("new") + "'"));
  }

  /** The keys after it are judged, and its user needs no other password. */
  @Test
  void passwordFileThatCannotBeUsedIsReportedAsAnyKey() throws Exception {
    Path empty = Files.createFile(directory.resolve("empty"));
    for (Path it : List.of(empty, directory.resolve("missing"))) {
      requireNamed(
          validate("http", RANGES + ", 'user': 'u', 'passwordFile': '" + it + "', 'stick': true"),
          "ipam.passwordFile \"" + it + "\"",
          "ipam.stick");
    }
  }

  private static void requireNamed(List<String> problems, String... keys) {
    for (String key : keys) {
      assertTrue(
          problems.stream().anyMatch(it -> it.contains(key)),
          () -> key + " is not in " + String.join("\n", problems));
    }
    assertEquals(keys.length, problems.size(), () -> String.join("\n", problems));
  }

  @Test
  void unknownKeysAreReported() throws Exception {
    requireNamed(
        validate(
            "http",
            "'blockSizes': 26, 'ranges': [[{'subnet': '10.1.0.0/16', 'exclude': ['10.1.0.9'],"
                + " 'excluded': ['10.1.0.8']}]], 'dns': {'servers': ['10.1.0.1']}"),
        "ipam.blockSizes",
        "ipam.ranges[0][0].excluded",
        "ipam.dns.servers");
    requireNamed(validate("http", RANGES + ", 'exclude': ['10.1.0.9'], 'sticky': true"));
  }

  @Test
  void exclusionsThatLeaveNoAddressAreNamed() throws Exception {
    String range = "{'subnet': '10.%d.0.0/24', 'exclude': ['10.%1$d.0.%s']}";
    String ranges =
        "'exclude': ['10.1.0.9'], 'ranges': [[%s, %s]]"
            .formatted(range.formatted(1, "0/24"), range.formatted(2, "7"));
    requireNamed(validate("http", ranges)); // those of 10.2.0.0/24 are left
    requireNamed(
        validate(
            "http",
            "'exclude': ['10.3.0.9'], 'ranges': [[{'subnet': 'fd00::/64'}], [%s]], 'stick': true"
                .formatted(range.formatted(3, "0/24"))),
        "ipam.ranges[1][0].exclude",
        "ipam.stick");
    requireNamed(
        validate(
            "http",
            "'exclude': ['10.3.0.0/24'], 'ranges': [[%s]]".formatted(range.formatted(3, "7"))),
        "ipam.exclude");
  }

  @Test
  void unknownKeysOfTlsAreReported() throws Exception {
    var certificates = new TestCertificates(directory.resolve("ca"));
    PemIdentity client = certificates.client("node", KeyForm.EC_PKCS8);
    String tls =
        RANGES
            + ", 'tls': {'ca': '%s', 'cert': '%s', 'key': '%s'%s}"
                .formatted(certificates.authority(), client.certificate(), client.key(), "%s");
    requireNamed(validate("https", tls.formatted("")));
    requireNamed(validate("https", tls.formatted(", 'server': 'x'")), "ipam.tls.server");
  }

  @Test
  void filesForTlsAreRead() throws Exception {
    Path text = Files.writeString(directory.resolve("text"), "hello\n");
    Path missing = directory.resolve("missing");
    String tls = RANGES + ", 'tls': {'ca': '" + missing + "', 'cert': '%1$s', 'key': '%1$s'}";
    List<String> problems = validate("https", tls.formatted(text));
    requireNamed(problems, "ipam.tls.ca", "ipam.tls.cert");
    assertTrue(problems.toString().contains("name an existing PEM file"), problems::toString);
    assertTrue(problems.toString().contains("BEGIN CERTIFICATE"), problems::toString);
    requireNamed(validate("http", tls.formatted(text)), "has no effect");
  }
}
