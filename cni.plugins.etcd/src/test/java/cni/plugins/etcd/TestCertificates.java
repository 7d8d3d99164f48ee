// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.plugins.etcd.EtcdClusterOptions.PemIdentity;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;

/**
 * A certificate authority for tests and the certificates that it issues, as PEM files in a
 * directory. Two instances are two authorities that do not trust each other.
 */
final class TestCertificates {
  private static final String CONFIG =
      """
      [req]
      distinguished_name = name
      prompt = no
      x509_extensions = authority
      [name]
      CN = test authority
      [authority]
      basicConstraints = critical, CA:TRUE
      keyUsage = critical, keyCertSign, cRLSign
      subjectKeyIdentifier = hash
      """;

  private static final String VALID_DAYS = "2";

  /** A notAfter of yesterday; openssl sets notBefore to the present all the same. */
  private static final String EXPIRED_DAYS = "-1";

  /** The algorithm of a private key and the encoding of its file. */
  enum KeyForm {
    /** {@code BEGIN PRIVATE KEY}, an EC key. */
    EC_PKCS8("EC", "ec_paramgen_curve:P-256", false),
    /** {@code BEGIN EC PRIVATE KEY}. */
    EC_SEC1("EC", "ec_paramgen_curve:P-256", true),
    /** {@code BEGIN EC PARAMETERS}, then {@code BEGIN EC PRIVATE KEY}: from openssl ecparam. */
    EC_SEC1_WITH_PARAMETERS("EC", "ec_paramgen_curve:P-256", true),
    /** {@code BEGIN PRIVATE KEY}, an RSA key. */
    RSA_PKCS8("RSA", "rsa_keygen_bits:2048", false),
    /** {@code BEGIN RSA PRIVATE KEY}. */
    RSA_PKCS1("RSA", "rsa_keygen_bits:2048", true),
    /** {@code BEGIN PRIVATE KEY}, an Ed25519 key (RFC 8410). */
    ED25519("ed25519", "", false);

    private final String algorithm;
    private final String option;
    private final boolean traditional;

    KeyForm(String algorithm, String option, boolean traditional) {
      this.algorithm = algorithm;
      this.option = option;
      this.traditional = traditional;
    }

    private List<String> generation() {
      return option.isEmpty()
          ? List.of("genpkey", "-algorithm", algorithm)
          : List.of("genpkey", "-algorithm", algorithm, "-pkeyopt", option);
    }
  }

  private final AtomicInteger issued = new AtomicInteger();
  private final Path directory;
  private final Path config;
  private final PemIdentity authority;

  /**
   * Creates the authority.
   *
   * @param directory for all files; is created
   * @throws IOException if openssl fails
   */
  TestCertificates(Path directory) throws IOException, InterruptedException {
    this.directory = Files.createDirectories(directory);
    config = Files.writeString(directory.resolve("openssl.cnf"), CONFIG);
    authority = new PemIdentity(directory.resolve("ca.pem"), key("ca", KeyForm.EC_PKCS8));
    run(
        "req",
        "-new",
        "-x509",
        "-config",
        config.toString(),
        "-key",
        authority.key().toString(),
        "-out",
        authority.certificate().toString(),
        "-days",
        VALID_DAYS);
  }

  /** Returns the file of the authority's certificate. */
  Path authority() {
    return authority.certificate();
  }

  /**
   * Issues a certificate for a member of etcd, with the extended key usages of a server and of a
   * client.
   *
   * @param names its host names and IP addresses
   */
  PemIdentity server(String... names) throws IOException, InterruptedException {
    return issue("server", KeyForm.EC_PKCS8, VALID_DAYS, serverExtensions(names));
  }

  /** Issues a certificate as {@link #server} does that has expired. */
  PemIdentity expiredServer(String... names) throws IOException, InterruptedException {
    return issue("server", KeyForm.EC_PKCS8, EXPIRED_DAYS, serverExtensions(names));
  }

  /**
   * Issues a certificate for a client.
   *
   * @param name its common name, which etcd takes for the user
   */
  PemIdentity client(String name, KeyForm form) throws IOException, InterruptedException {
    return issue(name, form, VALID_DAYS, "extendedKeyUsage = clientAuth\n");
  }

  /** Issues a certificate for a client that has no common name. */
  PemIdentity clientWithoutCommonName() throws IOException, InterruptedException {
    return issue(
        "nameless", "/O=nodes", KeyForm.EC_PKCS8, VALID_DAYS, "extendedKeyUsage = clientAuth\n");
  }

  /** Issues a certificate for a client that has expired. */
  PemIdentity expiredClient(String name) throws IOException, InterruptedException {
    return issue(name, KeyForm.EC_PKCS8, EXPIRED_DAYS, "extendedKeyUsage = clientAuth\n");
  }

  private static String serverExtensions(String... names) {
    String alternatives =
        Arrays.stream(names)
            .map(name -> (isAddress(name) ? "IP:" : "DNS:") + name)
            .collect(Collectors.joining(","));
    return "extendedKeyUsage = serverAuth, clientAuth\nsubjectAltName = " + alternatives + "\n";
  }

  private static boolean isAddress(String name) {
    return name.contains(":") || name.matches("[0-9.]+");
  }

  private PemIdentity issue(String name, KeyForm form, String days, String extensions)
      throws IOException, InterruptedException {
    return issue(name, "/CN=" + name, form, days, extensions);
  }

  private PemIdentity issue(
      String name, String subject, KeyForm form, String days, String extensions)
      throws IOException, InterruptedException {
    String file = name + "-" + issued.incrementAndGet();
    Path key = key(file, form);
    Path request = directory.resolve(file + ".csr");
    Path extensionFile = Files.writeString(directory.resolve(file + ".cnf"), extensions);
    Path certificate = directory.resolve(file + ".pem");
    run(
        "req",
        "-new",
        "-config",
        config.toString(),
        "-key",
        key.toString(),
        "-subj",
        subject,
        "-out",
        request.toString());
    run(
        "x509",
        "-req",
        "-in",
        request.toString(),
        "-CA",
        authority.certificate().toString(),
        "-CAkey",
        authority.key().toString(),
        "-set_serial",
        Integer.toString(issued.get()),
        "-extfile",
        extensionFile.toString(),
        "-days",
        days,
        "-out",
        certificate.toString());
    return new PemIdentity(certificate, key);
  }

  private Path key(String name, KeyForm form) throws IOException, InterruptedException {
    Path key = directory.resolve(name + ".key");
    List<String> generation = new ArrayList<>(form.generation());
    generation.addAll(List.of("-out", key.toString()));
    run(generation.toArray(String[]::new));
    if (form.traditional) {
      String text = run("pkey", "-in", key.toString(), "-traditional");
      String parameters =
          form == KeyForm.EC_SEC1_WITH_PARAMETERS ? run("ecparam", "-name", "prime256v1") : "";
      Files.writeString(key, parameters + text);
    }
    return key;
  }

  private static String run(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("openssl"));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(command + ": " + output);
    }
    return output;
  }
}
