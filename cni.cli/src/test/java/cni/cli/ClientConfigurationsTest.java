// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.cli.ConfigurationSamples.Sample;
import cni.runtime.ValidationReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The configurations that popular programs write have no problems: an alarm that is false is worse
 * than none. The executables that they name are stubs.
 */
class ClientConfigurationsTest {
  private static final List<String> EXECUTABLES =
      List.of(
          "calico",
          "calico-ipam",
          "cilium-cni",
          "consul-cni",
          "dnsname",
          "flannel",
          "tc-redirect-tap",
          "whereabouts");

  private static final Pattern JSON_BLOCK = Pattern.compile("(?s)```json\n(.*?)```");

  /** Validation reads these files, which do not exist here. */
  private static final Pattern FILES_FOR_TLS = Pattern.compile("\"tls\": \\{[^}]*},");

  @TempDir Path directory;
  @TempDir Path executables;

  static Stream<Sample> samples() throws IOException {
    return ConfigurationSamples.read("client-configurations.txt").stream();
  }

  /** The configurations in the documentation that are complete: with a name and plugins. */
  static Stream<Sample> documented() throws IOException {
    Stream.Builder<Sample> samples = Stream.builder();
    try (Stream<Path> pages = Files.list(Path.of("..", "docs"))) {
      for (Path page :
          Stream.concat(pages, Stream.of(Path.of("..", "README.md"))).sorted().toList()) {
        if (page.toString().endsWith(".md")) {
          Matcher blocks = JSON_BLOCK.matcher(Files.readString(page));
          while (blocks.find()) {
            if (blocks.group(1).contains("\"plugins\"") && blocks.group(1).contains("\"name\"")) {
              String text = FILES_FOR_TLS.matcher(blocks.group(1)).replaceAll("");
              samples.add(new Sample(page.getFileName() + ".conflist", text, List.of()));
            }
          }
        }
      }
    }
    return samples.build();
  }

  @BeforeEach
  void createExecutables() throws IOException {
    for (String type : EXECUTABLES) {
      ConfigurationSamples.executable(executables, type);
    }
  }

  @ParameterizedTest
  @MethodSource({"samples", "documented"})
  void configurationHasNoProblems(Sample sample) throws Exception {
    ValidationReport report = ConfigurationSamples.validate(sample, directory, executables);
    assertEquals(List.of(), ConfigurationSamples.describe(report));
    assertTrue(report.files().getFirst().version().isPresent());
  }

  @Test
  void aMissingExecutableIsTheOnlyProblem() throws Exception {
    Sample flannel =
        samples().filter(it -> it.file().equals("flannel.conflist")).findFirst().orElseThrow();
    ValidationReport report = ConfigurationSamples.validate(flannel, directory);
    assertEquals(1, report.problems().size());
    assertEquals("plugins[0].type", report.problems().getFirst().key());
    assertTrue(report.problems().getFirst().message().startsWith("names no plugin that exists"));
  }

  @Test
  void keysAreAlsoFoundBesideAnExecutableThatMayReadThem() throws Exception {
    var sample =
        new Sample(
            "n.conf",
            """
            { "cniVersion": "1.0.0", "name": "n", "type": "bridge",
              "isGatway": true, "kubeconfig": "x",
              "ipam": { "type": "whereabouts", "range": "192.168.2.0/24" } }
            """,
            List.of());
    ValidationReport report = ConfigurationSamples.validate(sample, directory, executables);
    assertEquals(
        List.of("2 warning: isGatway true is not a known key: did you mean isGateway?"),
        ConfigurationSamples.describe(report));
  }
}
