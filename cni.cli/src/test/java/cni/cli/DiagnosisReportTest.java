// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.doctor.Diagnosis;
import cni.doctor.FindingKind;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is printed of an examination that could not be made. */
class DiagnosisReportTest {
  @ParameterizedTest
  @CsvSource({"true,' (as root they can be)'", "false,''"})
  void rootIsOnlyNamedWherePrivilegesLack(boolean lacksPrivilege, String hint) {
    var omitted = new Diagnosis.Omitted(FindingKind.SUBNET_OVERLAP, "broken", lacksPrivilege);
    var diagnosis = new Diagnosis(1, List.of(), List.of(omitted));
    var out = new ByteArrayOutputStream();
    new DiagnosisReport(diagnosis, new SuggestedCommand(List.of()))
        .print(new PrintStream(out, true, UTF_8));
    assertEquals(
        List.of(
            "not examined: subnet-overlap",
            "  broken",
            "",
            "1 examinations, nothing found, 1 not made" + hint),
        out.toString(UTF_8).lines().toList());
  }
}
