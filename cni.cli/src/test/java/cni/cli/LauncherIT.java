// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.cli.ImageRunner.CommandOutput;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The launcher in environments that the JVM does not expect. */
@KernelTest
class LauncherIT {
  private static final Map<String, String> VERSION = Map.of("CNI_COMMAND", "VERSION");

  private static final String PRINT_VARIABLES =
      "echo \"$CLASSPATH,$JAVA_TOOL_OPTIONS,${_JAVA_OPTIONS-unset},${JDK_JAVA_OPTIONS-unset},"
          + "${MALLOC_ARENA_MAX-unset}\"; env | grep -c CNI_CALLER_";

  private TestHost host;
  private NetNs a;
  private ImageRunner run;

  @BeforeEach
  void open() throws Exception {
    host = new TestHost();
    a = host.container("a");
    run = new ImageRunner(host);
    Files.createSymbolicLink(bridge(), ImageRunner.IMAGE.resolve("bin/cni"));
  }

  @AfterEach
  void close() throws IOException {
    host.close();
  }

  private Path bridge() {
    return host.executables().resolve("bridge");
  }

  private String config(String ipam) {
    return """
        { "cniVersion": "0.4.0", "name": "n", "type": "bridge", "bridge": "br0",
          "ipam": { "type": "%s", "dataDir": "%s", "subnet": "10.50.0.0/24" } }
        """
        .formatted(ipam, host.ipamData());
  }

  private Map<String, String> call(String verb) {
    Map<String, String> variables = new HashMap<>();
    variables.put("CNI_COMMAND", verb);
    variables.put("CNI_CONTAINERID", "c");
    variables.put("CNI_IFNAME", "eth0");
    variables.put("CNI_NETNS", a.path().toString());
    return variables;
  }

  private static void assertAnswersVersion(CommandOutput output) throws Exception {
    assertEquals(0, output.status(), output::err);
    assertEquals("1.1.0", output.json().at("/supportedVersions/6").asString(), output::out);
  }

  /** Each of these options keeps a JVM that reads it from running the plugin or the command. */
  @ParameterizedTest
  @ValueSource(strings = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"})
  void optionsOfTheCallersJvmAreIgnored(String variable) throws Exception {
    Map<String, String> variables = Map.of(variable, "-javaagent:/no/such/agent.jar");
    CommandOutput command = run.cni(variables, "--version");
    assertEquals(0, command.status(), command::err);
    assertEquals("", command.err());
    variables = Map.of("CNI_COMMAND", "VERSION", variable, "-javaagent:/no/such/agent.jar");
    CommandOutput plugin = run.plugin(bridge(), variables, "");
    assertAnswersVersion(plugin);
    assertEquals("", plugin.err());
  }

  @Test
  void providersOnTheCallersClassPathAreNotLoaded() throws Exception {
    Path classes = host.directory().resolve("classes");
    Path services = Files.createDirectories(classes.resolve("META-INF/services"));
    // A provider that does not exist: a JVM that looks for it fails.
    Files.writeString(services.resolve("cni.api.NetworkPlugin"), "no.such.Plugin");
    Map<String, String> variables = Map.of("CLASSPATH", classes.toString());
    CommandOutput plugins = run.cni(variables, "plugins");
    assertEquals(0, plugins.status(), plugins::err);
    assertFalse((plugins.out() + plugins.err()).contains("no.such.Plugin"), plugins::out);
    CommandOutput added =
        run.plugin(
            bridge(),
            Map.of("CLASSPATH", classes.toString(), "CNI_COMMAND", "VERSION"),
            config("host-local"));
    assertAnswersVersion(added);
    assertEquals("", added.err());
  }

  @Test
  void debugOutputOfTheJvmsLauncherIsNotPrinted() throws Exception {
    CommandOutput output =
        run.plugin(bridge(), Map.of("CNI_COMMAND", "VERSION", "_JAVA_LAUNCHER_DEBUG", "1"), "");
    assertAnswersVersion(output);
  }

  @Test
  void commandOfRunGetsTheCallersVariables() throws Exception {
    host.network("n", "0.4.0", config("host-local"));
    CommandOutput output =
        run.cni(
            Map.of("CLASSPATH", "/a b", "JAVA_TOOL_OPTIONS", "-Dx=$y", "_JAVA_OPTIONS", ""),
            "run",
            "--",
            "sh",
            "-c",
            PRINT_VARIABLES);
    assertEquals("/a b,-Dx=$y,,unset,unset\n0\n", output.out(), output::err);
  }

  @ParameterizedTest
  @CsvSource({"'',unset", "7,7"})
  void executablesGetTheCallersVariables(String arenas, String expected) throws Exception {
    Path seen = host.directory().resolve("seen");
    String result = "{ \"cniVersion\": \"0.4.0\" }";
    String script = "#!/bin/sh\n{ %s; } > %s\necho '%s'\n".formatted(PRINT_VARIABLES, seen, result);
    Path plugin = host.executables().resolve("third-party");
    Files.writeString(plugin, script);
    Files.setPosixFilePermissions(plugin, PosixFilePermissions.fromString("rwxr-xr-x"));
    host.network("n", "0.4.0", "{ \"type\": \"third-party\" }");
    Map<String, String> variables = new HashMap<>(Map.of("CLASSPATH", "/a b", "_JAVA_OPTIONS", ""));
    if (!arenas.isEmpty()) {
      variables.put("MALLOC_ARENA_MAX", arenas);
    }
    CommandOutput output = run.cni(variables, "add", "n", a.path().toString());
    assertEquals(0, output.status(), output::err);
    assertEquals("/a b,,,unset," + expected + "\n0\n", Files.readString(seen));
  }

  @ParameterizedTest
  @ValueSource(strings = {"PATH", "CNI_NATIVE_ACCESS", "CNI_MODULE_PATH", "CNI_PLUGIN_ORDER"})
  void emptyListsInTheEnvironmentAreHarmless(String variable) throws Exception {
    for (String value : new String[] {"", ",", "x,x", ":"}) {
      if (variable.equals("CNI_PLUGIN_ORDER") && value.matches("x,x|:")) {
        continue; // refused, see MainTest
      }
      assertAnswersVersion(
          run.plugin(bridge(), Map.of("CNI_COMMAND", "VERSION", variable, value), ""));
      CommandOutput listed = run.cni(Map.of(variable, value), "plugins");
      assertEquals(0, listed.status(), listed::err);
    }
  }

  @Test
  void deletedWorkingDirectoryIsLeft() throws Exception {
    String gone = "mkdir gone; cd gone; rmdir ../gone; ";
    String inBed = "cd " + host.directory() + "; ";
    assertAnswersVersion(run.shell(VERSION, inBed + gone + "exec " + bridge(), ""));
    CommandOutput command =
        run.shell(Map.of(), inBed + gone + "exec $IMAGE/bin/cni version bridge", "");
    assertEquals(0, command.status(), command::err);
    assertTrue(command.out().contains("1.1.0"), command::out);
  }

  @Test
  void argumentsAreRelativeToTheWorkingDirectory() throws Exception {
    host.network("n", "0.4.0", config("host-local"));
    CommandOutput validated =
        run.shell(
            Map.of(), "cd " + host.networks() + "; exec $IMAGE/bin/cni validate n.conflist", "");
    assertEquals(0, validated.status(), validated::err);
  }

  @Test
  void littleAddressSpaceSuffices() throws Exception {
    String limit = "ulimit -v 600000; exec ";
    CommandOutput added = run.shell(call("ADD"), limit + bridge(), config("host-local"));
    assertEquals(0, added.status(), () -> added.err() + added.out());
    assertEquals("10.50.0.2/24", added.json().at("/ips/0/address").asString());
    CommandOutput deleted = run.shell(call("DEL"), limit + bridge(), config("host-local"));
    assertEquals(0, deleted.status(), () -> deleted.err() + deleted.out());
    CommandOutput list = run.shell(Map.of(), limit + "$IMAGE/bin/cni plugins", "");
    assertEquals(0, list.status(), list::err);
    host.assertNothingLeft("n", a);
  }

  @Test
  void launcherAnswersIfTheJvmCannotStart() throws Exception {
    CommandOutput output =
        run.shell(call("ADD"), "ulimit -v 100000; exec " + bridge(), config("host-local"));
    assertEquals(1, output.status());
    assertEquals(999, output.json().get("code").intValue(), output::out);
    assertEquals("0.4.0", output.json().get("cniVersion").asString(), output::out);
    assertTrue(output.json().get("msg").asString().contains("limits"), output::out);
    CommandOutput command = run.shell(Map.of(), "ulimit -v 100000; exec $IMAGE/bin/cni list", "");
    assertEquals("", command.out());
    assertNotEquals(0, command.status());
    assertNotEquals("", command.err());
  }

  /** An image that was built without a C compiler has the script as bin/cni. */
  @Test
  void linkToTheScriptIsThePlugin() throws Exception {
    Files.delete(bridge());
    Files.createSymbolicLink(bridge(), ImageRunner.IMAGE.resolve("bin/cni-jvm"));
    assertAnswersVersion(run.plugin(bridge(), VERSION, ""));
  }

  /** The native launcher lacks the script then, and the script lacks the JVM. */
  @ParameterizedTest
  @ValueSource(strings = {"cni", "cni-jvm"})
  void launcherAnswersWithoutItsImage(String program) throws Exception {
    Path lone = host.directory().resolve("lone/bin");
    Files.createDirectories(lone);
    Files.copy(
        ImageRunner.IMAGE.resolve("bin").resolve(program),
        lone.resolve("bridge"),
        StandardCopyOption.COPY_ATTRIBUTES);
    CommandOutput output = run.plugin(lone.resolve("bridge"), call("ADD"), config("host-local"));
    assertEquals(1, output.status());
    assertEquals(999, output.json().get("code").intValue(), output::out);
    assertEquals("0.4.0", output.json().get("cniVersion").asString(), output::out);
  }

  @ParameterizedTest
  @ValueSource(strings = {"truncated", "garbage", "damaged inside", "missing"})
  void damagedAotCacheIsNotUsed(String damage) throws Exception {
    Path image = host.directory().resolve("image");
    TestBed.run(host.netns(), "cp", "-a", ImageRunner.IMAGE.toString(), image.toString());
    damage(image.resolve("lib/cni.aot"), damage);
    Files.delete(bridge());
    Files.createSymbolicLink(bridge(), image.resolve("bin/cni"));
    assertAnswersVersion(run.plugin(bridge(), VERSION, ""));
    CommandOutput added = run.plugin(bridge(), call("ADD"), config("host-local"));
    assertEquals("10.50.0.2/24", added.json().at("/ips/0/address").asString(), added::err);
    CommandOutput deleted = run.plugin(bridge(), call("DEL"), config("host-local"));
    assertEquals("", deleted.out());
    host.assertNothingLeft("n", a);
  }

  private static void damage(Path cache, String damage) throws IOException {
    byte[] garbage = new byte[1 << 19];
    new Random(19).nextBytes(garbage);
    try (FileChannel channel = FileChannel.open(cache, StandardOpenOption.WRITE)) {
      switch (damage) {
        case "truncated" -> channel.truncate(channel.size() / 2);
        case "garbage" -> channel.write(ByteBuffer.wrap(garbage), 0);
        case "damaged inside" -> { // the JVM crashes
          for (long at = 1 << 20; at < channel.size() - garbage.length; at += 2L * garbage.length) {
            channel.write(ByteBuffer.wrap(garbage), at);
          }
        }
        default -> Files.delete(cache);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {">/dev/full", ">&-"})
  void unwritableOutputIsAFailure(String redirection) throws Exception {
    CommandOutput plugin = run.shell(VERSION, bridge() + " " + redirection, "");
    assertEquals(1, plugin.status());
    assertTrue(plugin.err().contains("standard output cannot be written"), plugin::err);
    CommandOutput command = run.shell(Map.of(), "$IMAGE/bin/cni plugins " + redirection, "");
    assertEquals(1, command.status());
    assertTrue(command.err().contains("standard output cannot be written"), command::err);
  }

  /** The reader, the shell's command ":", has ended before the JVM writes. */
  @Test
  void closedPipeEndsTheCommandQuietly() throws Exception {
    CommandOutput piped =
        run.shell(Map.of(), "{ $IMAGE/bin/cni completion; echo $? >&2; } | :", "");
    assertEquals("141\n", piped.err());
  }

  @Test
  void warningIsOneLine() throws Exception {
    host.dualStack("n", "");
    Files.writeString(host.networks().resolve("00-bad.conflist"), "{bad");
    CommandOutput status = run.cni(Map.of(), "status", "n");
    assertEquals(0, status.status(), status::err);
    assertTrue(status.err().matches("cni: warning: .*00-bad.conflist.*\n"), status::err);
  }

  @Test
  void jvmEndsWithItsLauncher() throws Exception {
    Path jvm = host.directory().resolve("jvm");
    host.script("slow", "echo $PPID > " + jvm + ".new; mv " + jvm + ".new " + jvm + "; sleep 60");
    String script =
        "%s & launcher=$!; until [ -e %s ]; do sleep 0.02; done; kill -KILL $launcher; cat %s"
            .formatted("exec 3<&0; " + bridge() + " <&3 >/dev/null 2>&1", jvm, jvm);
    CommandOutput killed = run.shell(call("ADD"), script, config("slow"));
    assertTrue(killed.out().matches("\\d+\\n"), killed::out);
    long end = System.nanoTime() + Duration.ofSeconds(10).toNanos();
    while (ImageRunner.isAlive(killed.out().strip())) {
      assertTrue(System.nanoTime() < end, "the JVM outlives its launcher");
      Thread.sleep(20);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "077"})
  void installedDirectoryHasFixedMode(String umask) throws Exception {
    Path directory = host.directory().resolve("new/bin");
    CommandOutput installed =
        run.shell(
            Map.of(), "umask " + umask + "; exec $IMAGE/bin/cni install --dir " + directory, "");
    assertEquals(0, installed.status(), installed::err);
    for (Path made : new Path[] {directory, directory.getParent()}) {
      assertEquals(0755, (Integer) Files.getAttribute(made, "unix:mode") & 07777);
    }
  }

  @Test
  void nothingIsInstalledWhereOthersMayWrite() throws Exception {
    Path directory = Files.createDirectory(host.directory().resolve("open"));
    TestBed.run(host.netns(), "chmod", "0777", directory.toString());
    CommandOutput refused = run.cni(Map.of(), "install", "--dir", directory.toString());
    assertEquals(4, refused.json().get("code").intValue(), refused::err);
    assertTrue(refused.err().contains(directory + " may be written to by others"), refused::err);
    assertEquals(1, refused.err().lines().count(), refused::err);
    try (var files = Files.list(directory)) {
      assertEquals(0, files.count());
    }
    CommandOutput forced = run.cni(Map.of(), "install", "--dir", directory.toString(), "--force");
    assertEquals(0, forced.status(), forced::err);
    assertEquals("", forced.err());
  }
}
