// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.internal.IoErrors;
import cni.api.internal.RegularFiles;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Reads certificates and private keys in PEM (RFC 7468). */
final class PemFiles {
  /** In bytes. A bundle of all public authorities has about 250 KB. */
  private static final int MAX_SIZE = 4 << 20;

  private static final Pattern BLOCK =
      Pattern.compile(
          "-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----\\s++([A-Za-z0-9+/=\\s]*?)-----END \\1-----");

  /** The length of a tag and a length of up to 127 bytes in DER (ITU-T X.690, section 8.1). */
  private static final int SHORT_HEADER = 2;

  private static final int SEQUENCE = 0x30;
  private static final int OCTET_STRING = 0x04;

  private static final byte[] VERSION_0 = {0x02, 0x01, 0x00};

  /** AlgorithmIdentifier of rsaEncryption without parameters (RFC 8017, appendix A.1). */
  private static final byte[] RSA_ALGORITHM = {
    0x30,
    0x0d,
    0x06,
    0x09,
    0x2a,
    (byte) 0x86,
    0x48,
    (byte) 0x86,
    (byte) 0xf7,
    0x0d,
    0x01,
    0x01,
    0x01,
    0x05,
    0x00
  };

  private PemFiles() {}

  /**
   * Reads certificates.
   *
   * @param key the key of {@code ipam.tls} that names the file
   * @throws TlsFileException if the file cannot be read or contains none
   */
  static List<X509Certificate> certificates(String key, Path file) throws TlsFileException {
    byte[] content = read(key, file);
    try {
      List<X509Certificate> certificates = new ArrayList<>();
      CertificateFactory factory = CertificateFactory.getInstance("X.509");
      for (Certificate it : factory.generateCertificates(new ByteArrayInputStream(content))) {
        certificates.add((X509Certificate) it);
      }
      if (certificates.isEmpty()) {
        throw invalid(
            key, file, "contains no certificate: name a PEM file with BEGIN CERTIFICATE", null);
      }
      return certificates;
    } catch (CertificateException e) {
      throw invalid(
          key,
          file,
          "is no certificate (%s): name a PEM file with BEGIN CERTIFICATE"
              .formatted(e.getMessage()),
          e);
    }
  }

  /**
   * Reads a private key: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017, appendix A.1.2) or SEC 1 (RFC 5915).
   *
   * @param key the key of {@code ipam.tls} that names the file
   * @param publicKey the key of the certificate that it belongs to
   * @throws TlsFileException if the file cannot be read, has no key, an encrypted one or that of
   *     another certificate
   */
  static PrivateKey privateKey(String key, Path file, PublicKey publicKey) throws TlsFileException {
    String text = new String(read(key, file), StandardCharsets.ISO_8859_1);
    if (text.contains("ENCRYPTED")) {
      throw invalid(
          key,
          file,
          "is encrypted: decrypt it with \"openssl pkey\", and protect it by its mode",
          null);
    }
    Matcher block = BLOCK.matcher(text);
    if (!block.find()) {
      throw invalid(
          key, file, "contains no private key: name a PEM file with BEGIN PRIVATE KEY", null);
    }
    try {
      PrivateKey decoded = decode(block.group(1), block.group(2), publicKey);
      if (belongTogether(decoded, publicKey)) {
        return decoded;
      }
    } catch (GeneralSecurityException | IllegalArgumentException e) {
      throw invalid(
          key,
          file,
          "is not the %s key of ipam.tls.cert (%s): name the key of that certificate"
              .formatted(publicKey.getAlgorithm(), e.getMessage()),
          e);
    }
    throw invalid(
        key,
        file,
        "is the key of another certificate than ipam.tls.cert: name the key of that one",
        null);
  }

  /**
   * Decodes a private key.
   *
   * @param type the label of the PEM block
   * @param base64 its content
   * @param publicKey the key that it is expected to belong to, for the algorithm
   * @throws IllegalArgumentException if the content is not base64
   * @throws GeneralSecurityException if it is not a key of that algorithm
   */
  private static PrivateKey decode(String type, String base64, PublicKey publicKey)
      throws GeneralSecurityException {
    byte[] der = Base64.getMimeDecoder().decode(base64);
    byte[] pkcs8 =
        switch (type) {
          case "RSA PRIVATE KEY" -> wrap(RSA_ALGORITHM, der);
          case "EC PRIVATE KEY" -> wrap(algorithm(publicKey), der);
          default -> der;
        };
    return KeyFactory.getInstance(publicKey.getAlgorithm())
        .generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
  }

  /** Whether the public key verifies a signature of the private key. */
  private static boolean belongTogether(PrivateKey key, PublicKey publicKey)
      throws GeneralSecurityException {
    Signature signature =
        Signature.getInstance(
            switch (publicKey.getAlgorithm()) {
              case "RSA" -> "SHA256withRSA";
              case "EC" -> "SHA256withECDSA";
              default -> publicKey.getAlgorithm();
            });
    signature.initSign(key);
    signature.update(VERSION_0);
    byte[] signed = signature.sign();
    signature.initVerify(publicKey);
    signature.update(VERSION_0);
    return signature.verify(signed);
  }

  /**
   * Returns the AlgorithmIdentifier of a public key, which names the curve: the first element of
   * SubjectPublicKeyInfo (RFC 5280, section 4.1).
   */
  private static byte[] algorithm(PublicKey key) {
    byte[] info = key.getEncoded();
    int start = (info[1] & 0x80) == 0 ? SHORT_HEADER : SHORT_HEADER + (info[1] & 0x7f);
    return Arrays.copyOfRange(info, start, start + SHORT_HEADER + info[start + 1]);
  }

  /** Returns PrivateKeyInfo (RFC 5958): version, algorithm, and the key as an octet string. */
  private static byte[] wrap(byte[] algorithm, byte[] key) {
    var content = new ByteArrayOutputStream();
    content.writeBytes(VERSION_0);
    content.writeBytes(algorithm);
    content.writeBytes(element(OCTET_STRING, key));
    return element(SEQUENCE, content.toByteArray());
  }

  private static byte[] element(int tag, byte[] content) {
    var out = new ByteArrayOutputStream();
    out.write(tag);
    if (content.length < 0x80) {
      out.write(content.length);
    } else { // a key has fewer than 65,536 bytes
      out.write(0x82);
      out.write(content.length >> 8);
      out.write(content.length);
    }
    out.writeBytes(content);
    return out.toByteArray();
  }

  private static byte[] read(String key, Path file) throws TlsFileException {
    try {
      return RegularFiles.read(file, MAX_SIZE);
    } catch (IOException e) {
      throw invalid(
          key,
          file,
          "cannot be read (%s): name an existing PEM file".formatted(IoErrors.reason(e)),
          e);
    }
  }

  private static TlsFileException invalid(
      String key, Path file, String reason, @Nullable Throwable cause) {
    return new TlsFileException(key, file, reason, cause);
  }
}
