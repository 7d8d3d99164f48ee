// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.plugins.etcd.EtcdClusterOptions.PemIdentity;
import cni.plugins.etcd.TestCertificates.KeyForm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

@RequiresEtcd
class EtcdTlsTest {
  @TempDir private static Path root;
  private static TestCertificates certificates;
  private static PemIdentity client;
  private static EtcdCluster etcd;

  @TempDir private Path directory;

  @BeforeAll
  static void start() throws Exception {
    certificates = new TestCertificates(root.resolve("ca"));
    client = certificates.client("node", KeyForm.EC_PKCS8);
    PemIdentity server = certificates.server("127.0.0.1", "::1", "etcd.test", "*.wild.test");
    etcd = startCluster(server, true);
  }

  private static EtcdCluster startCluster(PemIdentity server, boolean clientRequired)
      throws Exception {
    return EtcdCluster.start(
        EtcdClusterOptions.members(1)
            .in(root)
            .withTls(
                new EtcdClusterOptions.Tls(
                    certificates.authority(), server, client, clientRequired, null)));
  }

  @AfterAll
  static void stop() throws Exception {
    etcd.close();
  }

  private static Map<String, Path> files(Path ca, PemIdentity identity) {
    Map<String, Path> files = new LinkedHashMap<>();
    files.put("ca", ca);
    files.put("cert", identity.certificate());
    files.put("key", identity.key());
    return files;
  }

  private TestNode node(Map<String, Path> files, String serverName) throws CniException {
    return node(etcd.endpoints(), files, serverName);
  }

  private TestNode node(List<String> endpoints, Map<String, Path> files, String serverName)
      throws CniException {
    ObjectNode tls = Json.object();
    files.forEach((key, file) -> tls.put(key, file.toString()));
    if (!serverName.isEmpty()) {
      tls.put("serverName", serverName);
    }
    return TestNode.of("a", endpoints, directory)
        .with("\"timeout\":4," + TestNode.DUAL_STACK + ",\"tls\":" + StoredValue.text(tls));
  }

  private TestNode node(PemIdentity identity) throws CniException {
    return node(files(certificates.authority(), identity), "");
  }

  /** Requires that an ADD is refused as a configuration error, and returns the message. */
  private static String refusal(TestNode node, String... contained) {
    CniException e = assertThrows(CniException.class, () -> node.add("c"));
    assertEquals(7, e.code(), e::getMessage);
    for (String it : contained) {
      assertTrue(e.getMessage().contains(it), () -> it + " is not in: " + e.getMessage());
    }
    return e.getMessage();
  }

  private PemIdentity with(Path key) {
    return new PemIdentity(client.certificate(), key);
  }

  @ParameterizedTest
  @EnumSource(KeyForm.class)
  void keysOfAllFormsAreAccepted(KeyForm form) throws Exception {
    TestNode node = node(certificates.client("node", form));
    assertEquals(2, node.add("c-" + form).size());
    node.delete("c-" + form);
  }

  @Test
  void clientCertificateIsNotNeededWhereEtcdDoesNotRequireIt() throws Exception {
    try (EtcdCluster open = startCluster(certificates.server("127.0.0.1"), false)) {
      Map<String, Path> ca = Map.of("ca", certificates.authority());
      node(open.endpoints(), ca, "").status();
      node(open.endpoints(), files(certificates.authority(), client), "").status();
      refusal(node(open.endpoints(), Map.of(), ""), "check ipam.tls", open.endpoints().getFirst());
    }
  }

  @Test
  void missingClientCertificateIsReported() throws Exception {
    refusal(node(Map.of("ca", certificates.authority()), ""), "check ipam.tls");
  }

  @Test
  void commonNameIsRefusedWithTheRemedyIfEtcdAuthenticatesUsers() throws Exception {
    try (EtcdCluster users = startCluster(certificates.server("127.0.0.1"), true)) {
      users.enableAuth("root-Wort", "node", "Wort", TestNode.PREFIX);
      PemIdentity nameless = certificates.clientWithoutCommonName();
      String credentials = ",\"user\":\"node\",\"password\":\"Wort\"";
      TestNode named = node(users.endpoints(), files(certificates.authority(), client), "");
      TestNode unnamed = node(users.endpoints(), files(certificates.authority(), nameless), "");
      for (TestNode it : List.of(named, named.with(named.ipam() + credentials))) {
        refusal(it, "without a common name", "ipam.tls.cert", "ipam.user");
      }
      refusal(unnamed, "set ipam.user");
      unnamed.with(unnamed.ipam() + credentials).add("c");
    }
  }

  @Test
  void encryptedKeysAreRefusedWithTheRemedy() throws Exception {
    for (String arguments : List.of("pkcs8 -topk8", "ec -aes128")) {
      Path encrypted = directory.resolve("encrypted.key");
      run("openssl " + arguments + " -passout pass:x -in " + client.key() + " -out " + encrypted);
      refusal(node(with(encrypted)), "ipam.tls.key " + encrypted, "openssl pkey");
    }
  }

  private static void run(String command) throws Exception {
    Process process = new ProcessBuilder(command.split(" ")).inheritIO().start();
    assertEquals(0, process.waitFor(), command);
  }

  @ParameterizedTest
  @EnumSource(KeyForm.class)
  void keyOfAnotherCertificateIsRefused(KeyForm form) throws Exception {
    Path other = certificates.client("other", form).key();
    refusal(node(with(other)), "ipam.tls.key " + other, "ipam.tls.cert");
    PemIdentity rsa = certificates.client("rsa", KeyForm.RSA_PKCS8);
    refusal(node(new PemIdentity(rsa.certificate(), other)), "ipam.tls.key " + other);
  }

  @Test
  void expiredCertificatesAreRefused() throws Exception {
    refusal(node(certificates.expiredClient("old")), "check ipam.tls");
    PemIdentity expired = certificates.expiredServer("127.0.0.1");
    // A member with an expired certificate is never healthy: only its port is needed.
    try (TlsPort port = new TlsPort(expired, directory)) {
      refusal(node(List.of(port.url()), files(certificates.authority(), client), ""), "check ipam");
    }
  }

  @Test
  void certificateOfAnotherAuthorityIsRefused() throws Exception {
    var others = new TestCertificates(directory.resolve("others"));
    refusal(node(files(others.authority(), client), ""), "check ipam.tls", "PKIX path");
    refusal(node(others.client("node", KeyForm.EC_PKCS8)), "check ipam.tls");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"etcd.test", "ETCD.test", "a.wild.test", "127.0.0.1", "::1", "0:0:0:0:0:0:0:1"})
  void serverNameOfTheCertificateIsAccepted(String name) throws Exception {
    node(files(certificates.authority(), client), name).status();
  }

  @ParameterizedTest
  @ValueSource(strings = {"etcd", "x.etcd.test", "wild.test", "a.b.wild.test", "127.0.0.2"})
  void otherServerNamesAreRefused(String name) throws Exception {
    refusal(
        node(files(certificates.authority(), client), name),
        "ipam.tls.serverName " + name,
        "etcd.test");
  }

  @Test
  void addressThatTheCertificateIsNotForNeedsServerName() throws Exception {
    try (EtcdCluster named =
        EtcdCluster.start(
            EtcdClusterOptions.members(1)
                .in(directory)
                .withTls(
                    new EtcdClusterOptions.Tls(
                        certificates.authority(),
                        certificates.server("etcd.test"),
                        client,
                        true,
                        "localhost")))) {
      Map<String, Path> files = files(certificates.authority(), client);
      refusal(node(named.endpoints(), files, ""), "127.0.0.1", "check ipam.tls");
      refusal(node(named.endpoints(), files, "127.0.0.1"), "ipam.tls.serverName");
    }
  }

  @Test
  void wrongSchemeIsReported() throws Exception {
    List<String> plain = List.of(etcd.endpoints().getFirst().replace("https", "http"));
    requireTransient(node(plain, Map.of(), ""), "as an https port does for http");
    try (EtcdCluster http = EtcdCluster.start(EtcdClusterOptions.members(1).in(directory))) {
      List<String> https = List.of(http.endpoints().getFirst().replace("http", "https"));
      requireTransient(
          node(https, files(certificates.authority(), client), ""), "as an http port does for");
    }
  }

  /** A member that stops closes connections, too: that is tried again until the timeout. */
  private static void requireTransient(TestNode node, String contained) {
    CniException e = assertThrows(CniException.class, () -> node.add("c"));
    assertEquals(11, e.code(), e::getMessage);
    assertTrue(e.getMessage().contains(contained), e::getMessage);
  }

  @ParameterizedTest
  @CsvSource({"ca", "cert", "key"})
  void fileThatCannotBeUsedIsNamed(String key) throws Exception {
    Map<String, String> contents = new LinkedHashMap<>();
    contents.put("empty", "");
    contents.put("text", "hello\n");
    contents.put("certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    contents.put("key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    contents.put("base64", "-----BEGIN EC PRIVATE KEY-----\nA\n-----END EC PRIVATE KEY-----\n");
    contents.put(
        "padding", "-----BEGIN RSA PRIVATE KEY-----\n=A=\n-----END RSA PRIVATE KEY-----\n");
    contents.put("cut", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    contents.put("binary", "0\u0082\u0001\u0000\u0000");
    for (Map.Entry<String, String> it : contents.entrySet()) {
      refuseFile(key, Files.writeString(directory.resolve(it.getKey()), it.getValue()));
    }
    refuseFile(key, directory.resolve("missing"));
    refuseFile(key, Files.createDirectory(directory.resolve("directory")));
    refuseFile(key, Path.of("/dev/zero"));
  }

  private void refuseFile(String key, Path file) throws CniException {
    Map<String, Path> files = files(certificates.authority(), client);
    files.put(key, file);
    refusal(node(files, ""), "ipam.tls." + key + " " + file);
  }

  @Test
  void replacedFilesAreUsedByTheNextCall() throws Exception {
    replaceFiles(new EtcdPlugin());
  }

  @Test
  void replacedFilesAreUsedByTheNextCallOfAResidentPlugin() throws Exception {
    var plugin = new EtcdPlugin();
    plugin.start(new SimulatedHost(directory));
    try {
      replaceFiles(plugin);
    } finally {
      plugin.stop();
    }
  }

  private void replaceFiles(EtcdPlugin plugin) throws Exception {
    PemIdentity used =
        new PemIdentity(directory.resolve("node.pem"), directory.resolve("node.key"));
    TestNode node = node(used).with(plugin);
    copy(certificates.expiredClient("node"), used);
    refusal(node, "check ipam.tls");
    copy(certificates.client("node", KeyForm.RSA_PKCS1), used);
    node.add("renewed");
    node.delete("renewed");
    Files.writeString(used.key(), "");
    refusal(node, "ipam.tls.key " + used.key());
    copy(client, used);
    node.status();
  }

  private static void copy(PemIdentity from, PemIdentity to) throws Exception {
    Files.copy(from.certificate(), to.certificate(), StandardCopyOption.REPLACE_EXISTING);
    Files.copy(from.key(), to.key(), StandardCopyOption.REPLACE_EXISTING);
  }
}
