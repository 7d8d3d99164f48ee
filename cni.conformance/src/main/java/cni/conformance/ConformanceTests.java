// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import cni.conformance.ConformanceReport.RequirementResult;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DynamicTest;

/**
 * The checks as JUnit tests.
 *
 * <pre>{@code
 * @TestFactory
 * Stream<DynamicTest> conformance() throws CniException {
 *   return ConformanceTests.of(new Conformance(plugin, config));
 * }
 * }</pre>
 */
@SuppressWarnings("exports") // JUnit is optional; this class is of no use without it
public final class ConformanceTests {
  private ConformanceTests() {}

  /**
   * Runs the checks and returns a test for each, which fails with the observation and the
   * requirement, or is skipped with the reason.
   *
   * @throws CniException as {@link Conformance#run()}
   */
  public static Stream<DynamicTest> of(Conformance conformance) throws CniException {
    List<DynamicTest> tests = new ArrayList<>();
    for (RequirementResult it : conformance.run().findings()) {
      tests.add(DynamicTest.dynamicTest(it.id() + " " + it.title(), () -> report(it)));
    }
    return tests.stream();
  }

  private static void report(RequirementResult it) {
    switch (it.outcome()) {
      case FAILED -> Assertions.fail(it.observed() + "; required: " + it.specText());
      case SKIPPED -> Assumptions.abort(it.observed());
      case PASSED -> {}
    }
  }
}
