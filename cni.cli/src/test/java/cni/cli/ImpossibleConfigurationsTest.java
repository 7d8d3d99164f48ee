// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.cli.ConfigurationSamples.Sample;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.ConfigProblem;
import cni.runtime.ValidationReport;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What validation calls an error fails ADD, by the same words and before anything has changed. */
@KernelTest
class ImpossibleConfigurationsTest {
  private final TestHost host;
  private final NetNs a;

  ImpossibleConfigurationsTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
  }

  static Stream<Sample> samples() throws IOException {
    return ConfigurationSamples.read("impossible-configurations.txt").stream()
        .filter(it -> it.problems().stream().anyMatch(problem -> problem.contains(" error: ")));
  }

  @ParameterizedTest
  @MethodSource("samples")
  void addFailsForTheFirstError(Sample sample) throws Exception {
    Files.writeString(host.networks().resolve(sample.file()), sample.text());
    try (Cni cni = host.openCni()) {
      ValidationReport report = cni.network("n").validate();
      CniException e =
          assertThrows(CniException.class, () -> cni.network("n").add(TestHost.attachment(a)));
      assertTrue(
          List.of(ErrorCode.INVALID_CONFIG.value(), ErrorCode.UNSUPPORTED_FIELD.value())
              .contains(e.code()),
          e::getMessage);
      assertTrue(
          report.problems().stream()
              .filter(ConfigProblem::isError)
              .anyMatch(it -> e.getMessage().contains(it.message())),
          () -> e.getMessage() + "\n" + report.problems());
    }
    host.assertNothingLeft("n", a);
    assertFalse(Files.exists(host.ipamData()));
  }
}
