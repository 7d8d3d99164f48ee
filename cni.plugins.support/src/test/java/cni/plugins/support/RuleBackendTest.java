// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.function.BinaryOperator;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RuleBackendTest {
  @TempDir private Path directory;

  /** Installs the command {@code iptables} as Debian does, by a link to an alternative. */
  private void install(String program) throws IOException {
    Path file = Files.writeString(directory.resolve(program), "");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    Path alternative = Files.createSymbolicLink(directory.resolve("alternative"), file);
    Files.createSymbolicLink(directory.resolve("iptables"), alternative);
  }

  private RuleBackend auto() {
    return RuleBackend.AUTO.resolve(List.of(directory.resolve("missing"), directory));
  }

  @Test
  void autoIsIptablesWhereItsNfTablesVariantIsInstalled() throws Exception {
    assertEquals(RuleBackend.NFTABLES, auto());
    install("xtables-nft-multi");
    assertEquals(RuleBackend.IPTABLES, auto());
    assertEquals(RuleBackend.NFTABLES, RuleBackend.NFTABLES.resolve(List.of(directory)));
  }

  @Test
  void autoIsNftablesBesideLegacyIptables() throws Exception {
    install("xtables-legacy-multi");
    assertEquals(RuleBackend.NFTABLES, auto());
  }

  @Test
  void staleContainersAreFoundByTruncatedComments() {
    BinaryOperator<String> comment =
        (network, id) -> {
          String text = network + " " + id;
          return text.substring(0, Math.min(10, text.length()));
        };
    var valid = new AttachmentId("abcdefghij1", "eth0");
    Predicate<String> stale = RuleOwner.staleContainer(comment, "net", Set.of(valid));
    assertTrue(stale.test("net x"));
    assertTrue(stale.test("net abcdeg"));
    assertFalse(stale.test("net abcdef"));
    assertFalse(stale.test("other x"));
  }
}
