// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The order and the documentation of the kinds. */
class FindingKindTest {
  @Test
  void documentationHasEveryKindInTheOrderOfWeight() throws Exception {
    List<String> documented =
        Files.readAllLines(Path.of("../docs/doctor.md")).stream()
            .filter(line -> line.startsWith("| `"))
            .map(line -> line.substring(3, line.indexOf('`', 3)))
            .toList();
    assertEquals(
        Arrays.stream(FindingKind.values()).map(FindingKind::toString).toList(), documented);
  }

  @Test
  void errorsWeighMoreThanWarnings() {
    List<Severity> severities =
        Arrays.stream(FindingKind.values()).map(FindingKind::severity).toList();
    assertEquals(severities.stream().sorted().toList(), severities);
  }
}
