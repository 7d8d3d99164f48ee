// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/** Names of chains and objects that depend on what is in them alone. */
final class ChainNames {
  private static final int ID_BYTES = 6;

  private ChainNames() {}

  /** Returns 12 hexadecimal digits that stand for a list of texts, none of which has a newline. */
  static String id(List<String> texts) {
    try {
      byte[] joined = String.join("\n", texts).getBytes(StandardCharsets.UTF_8);
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(joined);
      return HexFormat.of().formatHex(digest, 0, ID_BYTES);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
