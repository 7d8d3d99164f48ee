package cni.conformance;

import cni.api.CniException;
import cni.conformance.ConformanceReport.Finding;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DynamicTest;

/**
 * The checks as tests of JUnit.
 *
 * <pre>{@code
 * @TestFactory
 * Stream<DynamicTest> conformance() throws CniException {
 *   return ConformanceTests.of(new Conformance(subject, setting));
 * }
 * }</pre>
 */
@SuppressWarnings("exports") // whoever has no JUnit has no use for this class
public final class ConformanceTests {
  private ConformanceTests() {}

  /**
   * Runs the checks; each becomes a test that fails with the requirement and what was seen, or is
   * skipped with the reason.
   *
   * @throws CniException as {@link Conformance#run()}
   */
  public static Stream<DynamicTest> of(Conformance conformance) throws CniException {
    List<DynamicTest> tests = new ArrayList<>();
    for (Finding it : conformance.run().findings()) {
      tests.add(DynamicTest.dynamicTest(it.id() + " " + it.title(), () -> report(it)));
    }
    return tests.stream();
  }

  private static void report(Finding it) {
    switch (it.outcome()) {
      case FAILED -> Assertions.fail(it.observed() + "; asked: " + it.specText());
      case SKIPPED -> Assumptions.abort(it.observed());
      case PASSED -> {}
    }
  }
}
