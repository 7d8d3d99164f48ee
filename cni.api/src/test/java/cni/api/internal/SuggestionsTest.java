// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SuggestionsTest {
  @ParameterizedTest
  @CsvSource({
    "ingres, did you mean ingress?",
    "INGRESS, did you mean ingress?",
    "egerss, did you mean egress?",
    "matchlabel, did you mean matchLabels?",
    "ot, did you mean to?",
    "x, 'known are ingress, egress, matchLabels, to'",
    "'', 'known are ingress, egress, matchLabels, to'",
  })
  void theNearestKnownWordIsMeant(String word, String suggestion) {
    assertEquals(
        suggestion, Suggestions.of(word, List.of("ingress", "egress", "matchLabels", "to")));
  }
}
