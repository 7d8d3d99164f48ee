// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.cli.ConfigurationSamples.Sample;
import cni.runtime.Cni;
import cni.runtime.ConfigProblem;
import cni.runtime.ValidationReport;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What validation says of broken configurations: the key, the line and the remedy. */
class BrokenConfigurationsTest {
  private static final String LOOPBACK =
      "{ \"cniVersion\": \"1.0.0\", \"name\": \"%s\", \"plugins\": [ { \"type\": \"loopback\" } ] }";

  @TempDir Path directory;

  static Stream<Sample> samples() throws IOException {
    return Stream.concat(
        ConfigurationSamples.read("broken-configurations.txt").stream(),
        ConfigurationSamples.read("impossible-configurations.txt").stream());
  }

  @ParameterizedTest
  @MethodSource("samples")
  void everyProblemIsFound(Sample sample) throws Exception {
    assertEquals(
        sample.problems(),
        ConfigurationSamples.describe(ConfigurationSamples.validate(sample, directory)));
  }

  /** With warnings alone the runtime uses the configuration; what it refuses is an error. */
  @ParameterizedTest
  @MethodSource("samples")
  void whatTheRuntimeRefusesIsAnError(Sample sample) throws Exception {
    ValidationReport report = ConfigurationSamples.validate(sample, directory);
    byte[] text = sample.text().getBytes(StandardCharsets.UTF_8);
    if (report.hasErrors()) {
      assertThrows(CniException.class, report::requireNoErrors);
    } else {
      NetworkConfig config = NetworkConfig.parse(text, sample.file());
      for (PluginConfig plugin : config.plugins()) {
        plugin.forRequest(config.name(), config.version(), Map.of());
      }
    }
  }

  @Test
  void byteOrderMarkIsAnError() throws Exception {
    var sample = new Sample("n.conflist", "\uFEFF" + LOOPBACK.formatted("n"), List.of());
    assertEquals(
        List.of("1 error: begins with a byte order mark: save it as UTF-8 without one"),
        ConfigurationSamples.describe(ConfigurationSamples.validate(sample, directory)));
  }

  @Test
  void emptyAndMissingFilesAreErrors() throws Exception {
    var empty = new Sample("n.conflist", " \n", List.of());
    assertEquals(
        List.of("- error: is empty: it must be a JSON object"),
        ConfigurationSamples.describe(ConfigurationSamples.validate(empty, directory)));
    try (Cni cni = ConfigurationSamples.open(directory)) {
      List<ConfigProblem> problems = cni.validate(directory.resolve("none.conflist")).problems();
      assertEquals(1, problems.size());
      assertTrue(problems.getFirst().isError());
      assertTrue(problems.getFirst().message().startsWith("cannot be read"), problems::toString);
    }
  }

  @Test
  void allFilesOfTheDirectoryAreValidated() throws Exception {
    Files.writeString(
        directory.resolve("10-a.conf"), LOOPBACK.formatted("a").replace("name", "nam"));
    Files.writeString(directory.resolve("20-b.conflist"), LOOPBACK.formatted("b"));
    Files.writeString(directory.resolve("30-b.conflist"), LOOPBACK.formatted("b"));
    Files.writeString(directory.resolve("40-c.conflst"), LOOPBACK.formatted("c"));
    Files.writeString(directory.resolve(".hidden"), "{}");
    Files.writeString(directory.resolve("kubeconfig"), "apiVersion: v1");
    try (Cni cni = ConfigurationSamples.open(directory)) {
      ValidationReport report = cni.validate();
      assertEquals(
          List.of("20-b.conflist", "30-b.conflist", "10-a.conf", "40-c.conflst"),
          report.files().stream()
              .map(it -> String.valueOf(it.file().orElseThrow().getFileName()))
              .toList());
      ConfigProblem shadowed = report.files().get(1).problems().getFirst();
      assertEquals(ConfigProblem.Severity.WARNING, shadowed.severity());
      assertTrue(
          shadowed.message().contains(directory.resolve("20-b.conflist") + " defines"),
          shadowed::toString);
      assertEquals(
          List.of(directory.resolve("30-b.conflist")),
          cni.shadowedFiles().stream().map(it -> it.file()).toList());
      assertEquals(3, report.files().get(2).problems().size(), report::toString);
      assertTrue(
          report.files().get(3).problems().getFirst().message().startsWith("is not read"),
          report::toString);
    }
  }

  @Test
  void pluginsOfTheNetworksDirectoryHaveTheirOwnFiles() throws Exception {
    Files.writeString(
        directory.resolve("n.conflist"),
        "{ \"cniVersion\": \"1.0.0\", \"name\": \"n\", \"loadOnlyInlinedPlugins\": false,\n"
            + " \"plugins\": [ { \"type\": \"loopback\" } ] }");
    Path more = Files.createDirectory(directory.resolve("n")).resolve("10-tuning.conf");
    Files.writeString(more, "{ \"type\": \"tuning\",\n \"mtu\": \"1400\",\n \"macc\": \"x\" }");
    try (Cni cni = ConfigurationSamples.open(directory)) {
      List<ConfigProblem> problems = cni.network("n").validate().problems();
      assertEquals(List.of("mtu", "macc"), problems.stream().map(ConfigProblem::key).toList());
      for (ConfigProblem problem : problems) {
        assertEquals(Optional.of(more), problem.file());
      }
      assertEquals(OptionalInt.of(3), problems.get(1).line());
    }
  }

  @Test
  void aParsedConfigurationIsValidatedWithoutLines() throws Exception {
    byte[] text =
        LOOPBACK
            .formatted("n")
            .replace("\"loopback\"", "\"bridge\", \"mtu\": -1")
            .getBytes(StandardCharsets.UTF_8);
    try (Cni cni = ConfigurationSamples.open(directory)) {
      ValidationReport report = cni.network(NetworkConfig.parse(text, "n")).validate();
      assertEquals(
          List.of("- error: plugins[0].mtu -1 must be between 0 and 65535"),
          ConfigurationSamples.describe(report));
      assertEquals(1, Json.parse(report.toJson().toString(), "report").get("errors").intValue());
    }
  }
}
