// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What is found of plugins that networks name. */
@KernelTest(commands = "ip")
class PluginExaminationsTest {
  private static final String VERSIONS =
      """
      echo '{ "cniVersion": "1.0.0", "supportedVersions": ["%s"] }'
      """;

  private static void network(TestHost host) throws Exception {
    host.network("n", "1.0.0", "{ \"type\": \"example\" }");
  }

  @Test
  void typeDoesNotExist(TestHost host) throws Exception {
    network(host);
    try (var examined = new ExaminedHost(host)) {
      Finding found =
          examined.assertOnly(
              FindingKind.PLUGIN_UNKNOWN, host.executables().toString(), "cni plugins");
      assertEquals("there is no plugin example: ADD fails", found.description());
      assertEquals(List.of("n"), found.networks());
    }
  }

  @Test
  void fileIsNotExecutable(TestHost host) throws Exception {
    network(host);
    host.script("example", "");
    Path file = host.executables().resolve("example");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(FindingKind.PLUGIN_NOT_EXECUTABLE, "no permission", "chmod +x " + file);
    }
  }

  @Test
  void executableIsOfAnotherArchitecture(TestHost host) throws Exception {
    network(host);
    host.script("example", "");
    byte[] elf = new byte[64];
    boolean onArm = "aarch64".equals(System.getProperty("os.arch"));
    ByteBuffer.wrap(elf)
        .putInt(0x7f454c46)
        .put((byte) 2) // ELFCLASS64
        .put((byte) 1) // ELFDATA2LSB
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort(18, (short) (onArm ? 62 : 183)); // e_machine
    Files.write(host.executables().resolve("example"), elf);
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(
          FindingKind.PLUGIN_WRONG_ARCHITECTURE,
          onArm ? "ELF for amd64" : "ELF for aarch64",
          "install the plugin for");
    }
  }

  @Test
  void executableThatAModuleReplacesIsNotExamined(TestHost host) throws Exception {
    host.dualStack("n", "");
    host.script("bridge", "");
    Files.writeString(host.executables().resolve("bridge"), "#!/no/such/shell\n");
    try (var examined = new ExaminedHost(host)) {
      examined.assertHealthy();
    }
    try (Cni cni = host.builder().forceExecutables("bridge").build();
        var examined = new ExaminedHost(host)) {
      Diagnosis diagnosis = Doctor.examine(cni, examined.locations(), Scope.HOST);
      assertEquals(
          List.of(FindingKind.PLUGIN_INTERPRETER_MISSING),
          diagnosis.findings().stream().map(Finding::kind).toList());
    }
  }

  @Test
  void interpreterOfAScriptIsMissing(TestHost host) throws Exception {
    network(host);
    host.script("example", "");
    Files.writeString(host.executables().resolve("example"), "#!/no/such/shell -e\n");
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(
          FindingKind.PLUGIN_INTERPRETER_MISSING,
          "the interpreter /no/such/shell does not exist",
          "install the interpreter");
    }
  }

  @Test
  void lineOfTheInterpreterEndsWithACarriageReturn(TestHost host) throws Exception {
    network(host);
    host.script("example", "");
    Files.writeString(host.executables().resolve("example"), "#!/bin/sh\r\n");
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(
          FindingKind.PLUGIN_INTERPRETER_MISSING, "ends with a carriage return", "first line");
    }
  }

  @Test
  void versionsHaveNothingInCommon(TestHost host) throws Exception {
    network(host);
    host.script("example", VERSIONS.formatted("0.4.0"));
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(
          FindingKind.PLUGIN_VERSION,
          "example supports [0.4.0], the network offers [1.0.0]",
          "cni version example");
    }
  }

  @Test
  void executableOfTheRightVersionIsNotFound(TestHost host) throws Exception {
    network(host);
    host.script("example", VERSIONS.formatted("1.0.0"));
    try (var examined = new ExaminedHost(host)) {
      examined.assertHealthy();
    }
  }

  @Test
  void moduleIsDisabled(TestHost host) throws Exception {
    network(host);
    Path modules = Files.createDirectories(host.directory().resolve("modules"));
    Path plugin = Files.createDirectories(modules.resolve("example"));
    Files.writeString(plugin.resolve("example.jar"), "not a jar");
    try (Cni cni = host.builder().pluginDirectories(modules).build()) {
      var locations =
          new HostLocations(
              host.networks(),
              List.of(host.executables()),
              List.of(modules),
              host.cache(),
              Optional.of(host.netns().path()));
      Diagnosis diagnosis =
          Doctor.examine(cni, locations, new Scope(Optional.of("n"), Optional.empty()));
      Finding first = diagnosis.findings().getFirst();
      assertEquals(FindingKind.PLUGIN_DISABLED, first.kind(), diagnosis::toString);
    }
  }
}
