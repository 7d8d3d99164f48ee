// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The scripts of {@code cni completion} in the shells that they are for. */
@Isolated("captures the standard streams of the process")
class CompletionTest {
  private final CapturedCommand cni = new CapturedCommand();

  @TempDir private Path directory;

  @BeforeEach
  void createFiles() throws IOException {
    Path networks = Files.createDirectories(directory.resolve("net.d"));
    Files.writeString(
        networks.resolve("10-a.conflist"),
        "{\"cniVersion\":\"1.1.0\",\"name\":\"mynet\",\"plugins\":[{\"name\":\"inner\"}]}");
    Files.writeString(networks.resolve("20-b.conf"), "{\n  \"name\" : \"other\"\n}");
    Path results = Files.createDirectories(directory.resolve("cache/results"));
    Files.writeString(results.resolve("mynet-c0ffee-eth0"), "{\"containerId\":\"c0ffee\"}");
    Files.writeString(Files.createDirectory(directory.resolve("bin")).resolve("third"), "");
  }

  @AfterEach
  void restoreStreams() {
    cni.close();
  }

  private String script(String shell) throws IOException {
    assertEquals(0, cni.run("completion", shell), cni::err);
    Path script = directory.resolve("completion." + shell);
    Files.writeString(script, cni.out());
    return script.toString();
  }

  private String run(String... command) throws Exception {
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("NETCONFPATH", directory.resolve("net.d").toString());
    builder.environment().put("CNI_PATH", directory.resolve("bin").toString());
    builder.environment().put("HOME", directory.toString());
    Process process = builder.start();
    process.getOutputStream().close();
    byte[] output = process.getInputStream().readAllBytes();
    assertTrue(process.waitFor(60, TimeUnit.SECONDS));
    return new String(output, StandardCharsets.UTF_8);
  }

  private static void assumeInstalled(String shell) {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin", shell)), shell + " is not installed");
  }

  /** Completes the last of the words, which bash has split at equals signs. */
  private String bash(String line) throws Exception {
    List<String> command = new ArrayList<>(List.of("bash", "--norc", "-c"));
    command.add(
        "source \"$1\"; shift; COMP_WORDS=(cni \"$@\"); COMP_CWORD=$#; _cni;"
            + " printf '%s\\n' \"${COMPREPLY[@]}\"");
    command.add("bash");
    command.add(script("bash"));
    command.addAll(List.of(line.replace("@", directory.toString()).split(" ", -1)));
    return String.join(" ", new TreeSet<>(run(command.toArray(String[]::new)).lines().toList()));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      value = {
        "a; add",
        "help sho; show",
        "add ``; mynet other",
        "add --networks @/net.d my; mynet",
        "add --networks = @/none my; ``",
        "add --ifn; --ifname",
        "policy e; explain",
        "policy show --dat; --data",
        "ipam r; release-node resume",
        "ipam show o; other",
        "ipam show ``; mynet other",
        "ipam import @/n; @/net.d",
        "ipam import @/net.d o; other",
        "ipam release-node ``; ``",
        "ipam release-node node-1 m; mynet",
        "ipam resume ``; mynet other",
        "conformance --format ``; json junit text",
        "conformance --format = j; json junit",
        "list --cache @/cache --container-id ``; c0ffee",
        "list --network o; other",
        "list ``; ``",
        "conformance br; bridge",
        "version th; third",
        "top --sort t; traffic tx",
        "new-plugin x --kind in; interface",
        "why --cache @/cache hos; host",
        "why --cache @/cache host c0f; c0ffee",
        "init n --plugins p; policy portmap",
        "run -n mynet -- trunc; truncate",
        "install --dir @/n; @/net.d",
        "validate @/net.d/1; @/net.d/10-a.conflist",
        "completion z; zsh"
      })
  void bashCompletes(String line, String expected) throws Exception {
    String completed = bash(line.replace("``", ""));
    assertEquals(expected.replace("@", directory.toString()).replace("``", ""), completed);
  }

  /** Plugins of the image are usually installed as executables, too. */
  @Test
  void typesAreListedOnce() throws Exception {
    Files.writeString(directory.resolve("bin/bridge"), "");
    String command = "source %s; _cni_plugins".formatted(script("bash"));
    List<String> types = run("bash", "--norc", "-c", command).lines().toList();
    assertEquals(1, Collections.frequency(types, "bridge"), types::toString);
    assertTrue(types.contains("third"), types::toString);
  }

  @Test
  void scriptNamesEveryCommand() throws Exception {
    assertEquals(0, cni.run("--help"));
    List<String> commands =
        cni.out().lines().filter(it -> it.matches(" {2}[a-z-]+ {2,}[A-Z].*")).toList();
    assertTrue(commands.size() > 20, cni::out);
    String completed = " " + bash("") + " ";
    for (String line : commands) {
      String name = line.strip().split(" ", 2)[0];
      assertTrue(completed.contains(" " + name + " "), name);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "cni ad; add\tAttach a network namespace to a network",
        "cni help sho; show\tShow a network's plugin chain",
        "cni add my; mynet",
        "cni add --ifn; --ifname\tInterface name in the container",
        "cni policy e; explain",
        "cni conformance --format j; json",
        "cni list --cache @/cache --container-id c; c0ffee",
        "cni version th; third",
        "cni top --sort dr; drops",
        "cni new-plugin x --kind in; interface",
        "cni why ho; host",
        "cni why --cache @/cache host c0; c0ffee",
        "cni run -n mynet -- trunc; truncate"
      })
  void fishCompletes(String line, String expected) throws Exception {
    assumeInstalled("fish");
    String command =
        "source %s; complete -C '%s'"
            .formatted(script("fish"), line.replace("@", directory.toString()));
    String completed = run("fish", "--no-config", "-c", command);
    assertTrue(completed.startsWith(expected), completed);
    assertFalse(completed.contains("inner"), completed);
  }

  @Test
  void fishCompletesFilesForANamespaceOnlyBehindASlash() throws Exception {
    assumeInstalled("fish");
    String command = "cd %s; source %s; complete -C 'cni add mynet %s'";
    String script = script("fish");
    String plain = run("fish", "--no-config", "-c", command.formatted(directory, script, ""));
    assertFalse(plain.contains("net.d"), plain);
    String path = run("fish", "--no-config", "-c", command.formatted(directory, script, "./n"));
    assertTrue(path.contains("./net.d"), path);
  }

  @Test
  void fishCompletesParametersInTheirOrder() throws Exception {
    assumeInstalled("fish");
    String command = "source %s; complete -C 'cni add mynet '".formatted(script("fish"));
    assertFalse(run("fish", "--no-config", "-c", command).contains("mynet"));
  }

  /** The first call of an autoloaded function loads the script, which completes that call, too. */
  @Test
  void zshCompletesWithTheScriptInItsFunctionPath() throws Exception {
    assumeInstalled("zsh");
    Path functions = Files.createDirectory(directory.resolve("functions"));
    String script = Files.readString(Path.of(script("zsh")));
    assertTrue(script.startsWith("#compdef cni\n"), script);
    assertTrue(script.contains("Completion of cni for zsh"), script);
    Files.writeString(functions.resolve("_cni"), script);
    String setUp = "fpath=($1 $fpath); autoload -U compinit && compinit -u -D";
    for (String typed : List.of("cni valida", "cni add myn")) {
      String expected = typed.endsWith("n") ? "mynet" : "validate";
      String output = zsh(setUp, functions.toString(), typed, expected);
      assertTrue(output.contains(expected), output);
    }
  }

  /** Types in a shell with a terminal, then presses the tabulator. */
  private String zsh(String setUp, String argument, String typed, String expected)
      throws Exception {
    String driver =
        """
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell "SETUP; print REA''DY"
        zpty -r -m shell output '*READY*'
        zpty -w -n shell "$2"$'\\t'
        zpty -r -m shell output "*$3*"
        print -rn -- "$output"
        """
            .replace("SETUP", setUp);
    return run("timeout", "50", "zsh", "-f", "-c", driver, "zsh", argument, typed, expected);
  }

  @ParameterizedTest
  @CsvSource({
    "cni valida, validate",
    "cni add myn, mynet",
    "cni policy exp, explain",
    "cni conformance --format=js, --format=json"
  })
  void zshCompletes(String typed, String expected) throws Exception {
    assumeInstalled("zsh");
    String setUp = "autoload -U compinit && compinit -u -D; source $1";
    String output = zsh(setUp, script("zsh"), typed, expected);
    assertTrue(output.contains(expected), output);
  }
}
