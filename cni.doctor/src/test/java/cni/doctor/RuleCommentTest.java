// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.Json;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.runtime.CachedAttachment;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Comments of rules in the forms of the reference plugins. */
class RuleCommentTest {
  private static Optional<RuleComment> parse(String table, String comment) {
    return RuleComment.parse(new Table(TableFamily.IP, table), comment);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      value = {
        "cni_plugins_masquerade; 0123456789abcdef-0123456789abcdef, net: n, if: eth0, id: c-1; n",
        "cni_hostport; c-1; ``",
        "nat; name: \"n\" id: \"c-1\"; n",
        "nat; dnat name: \"n\" id: \"c-1\"; n"
      })
  void commentNamesItsContainer(String table, String comment, String network) {
    RuleComment found = parse(table, comment).orElseThrow();
    assertEquals("c-1", found.containerId());
    assertEquals(network, found.network().orElse(""));
    assertTrue(found.names(attachment("n", "c-1")));
    assertFalse(found.names(attachment("n", "d")));
    assertEquals(network.isEmpty(), found.names(attachment("m", "c-1")));
  }

  @ParameterizedTest
  @CsvSource({"nat, CNI portfwd requiring masquerade", "nat, ''", "cni_plugins_masquerade, other"})
  void otherCommentNamesNone(String table, String comment) {
    assertEquals(Optional.empty(), parse(table, comment));
  }

  @Test
  void longContainerIdIsComparedAsFarAsTheCommentHasIt() {
    RuleComment found =
        parse("nat", "dnat name: \"n\" id: \"" + "c".repeat(200) + "...").orElseThrow();
    assertTrue(found.names(attachment("n", "c".repeat(250))));
    assertFalse(found.names(attachment("n", "c".repeat(199))));
  }

  private static CachedAttachment attachment(String network, String container) {
    return new CachedAttachment(
        network, Attachment.of(container, Path.of("/run/netns/c"), "eth0"), "", Json.object());
  }
}
