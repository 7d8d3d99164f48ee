// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Parsing of the command line: usage, versions and errors, before a command does anything. */
@Isolated("captures the standard streams of the process")
class MainTest {
  private final CapturedCommand cni = new CapturedCommand();

  @AfterEach
  void restoreStreams() {
    cni.close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "add",
        "check",
        "del",
        "update",
        "repair",
        "gc",
        "status",
        "why",
        "policy",
        "ipam",
        "run",
        "events",
        "list",
        "top",
        "show",
        "doctor",
        "validate",
        "version",
        "plugins",
        "new-plugin",
        "conformance",
        "install",
        "dhcp",
        "serve",
        "metrics",
        "completion",
        "demo",
        "init"
      })
  void everyCommandPrintsUsageAndVersion(String command) {
    assertEquals(0, cni.run(command, "--help"));
    assertTrue(cni.out().startsWith("Usage: cni " + command + " "), cni::out);
    assertEquals(0, cni.run(command, "-V"));
    assertTrue(cni.out().startsWith("cni "), cni::out);
    assertEquals("", cni.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      value = {
        "add; missing NETWORK and NETNS, as in \"cni add mynet blue\"",
        "check n; missing NETNS or --container-id ID, as in \"cni check mynet blue\"",
        "update; missing NETWORK, as in",
        "update n; name the container by NETNS or --container-id, or give --all",
        "update n a --all; --all updates every container",
        "update n a; nothing to change: give --capability-args",
        "run --network n --; missing COMMAND, as in \"cni run -- ip address\"",
        "conformance; missing TYPE|PATH, as in \"cni conformance bridge\"",
        "conformance bridge --patience soon; --patience: 'soon' is not a whole number",
        "conformance bridge --format xml; --format: xml is none of text, json, junit",
        "install bridge; missing --dir DIR, as in \"cni install --dir /opt/cni/bin\"",
        "top --sort x; --sort x is none of traffic, rx, tx, drops, name",
        "top --delay -1; --delay -1.0 is not a number of seconds",
        "top --iterations -1; --iterations -1 must not be negative",
        "serve --metrics 0.0.0.0:9469; --metrics \"0.0.0.0:9469\" is not a loopback address",
        "serve --metrics 9469; --metrics \"9469\" must be unix:PATH or ADDRESS:PORT",
        "serve --daemon bogus; --daemon \"bogus\": there is no such daemon; allowed: dhcp, policy, none",
        "serve --status --format xml; --format: xml is none of text, json",
        "policy show; missing NAME, as in",
        "policy explain a; missing DESTINATION[:PORT], as in \"cni policy explain blue web:8080\"",
        "policy list x; unexpected argument \"x\"; cni policy list takes no arguments, only options",
        "policy shwo; there is no command \"shwo\"; did you mean \"show\"?",
        "policy shwo --help; there is no command \"shwo\"; did you mean \"show\"?",
        "ipam shwo; there is no command \"shwo\"; did you mean \"show\"?",
        "ipam import; missing DIRECTORY and NETWORK, as in \"cni ipam import /var/lib/cni/networks/mynet mynet\"",
        "ipam release-node; missing NODE, as in \"cni ipam release-node node-1\"",
        "ipam resume; missing NETWORK, as in \"cni ipam resume mynet\"",
        "dhcp; missing word \"daemon\"",
        "list n; unexpected argument \"n\"; cni list takes no arguments, only options",
        "add n a b; unexpected argument \"b\"; cni add takes NETWORK NETNS",
        "list --timeout; option --timeout needs a value, TIME, such as --timeout 30s",
        "list --timeout 3x; --timeout: 3x is not a time like 30s or 2m",
        "list --order; option --order needs a value, SOURCE, such as --order built-in",
        "list --order nowhere; --order: nowhere is none of built-in, directory, executable",
        "add n a --bogus; cni add has no option --bogus",
        "add n a --if-name=x; cni add has no option --if-name; did you mean --ifname?",
        "frobnicate; there is no command \"frobnicate\"\n",
        "frobnicate --help; there is no command \"frobnicate\"\n",
        "foo; there is no command \"foo\"\n",
        "statsu n; there is no command \"statsu\"; did you mean \"status\"?"
      })
  void invalidCommandLineIsWrongUsage(String line, String why) {
    assertEquals(2, cni.run(line.split(" ", -1)));
    List<String> lines = cni.err().lines().toList();
    assertTrue((lines.getFirst() + "\n").startsWith("cni: " + why), cni::err);
    assertTrue(lines.getLast().matches("See \"cni( [\\w-]+)* --help\"\\."), cni::err);
    assertEquals(2, lines.size(), cni::err);
    assertEquals("", cni.out());
  }

  @Test
  void helpIsACommandToo() {
    assertEquals(0, cni.run("help", "policy", "show"));
    String help = cni.out();
    assertTrue(help.startsWith("Usage: cni policy show "), help);
    assertEquals(0, cni.run("policy", "show", "--help"));
    assertEquals(help, cni.out());
    assertEquals(0, cni.run("help"));
    assertTrue(cni.out().contains("\nObserve:\n  list "), cni::out);
    assertEquals(2, cni.run("help", "frobnicate"));
  }

  @Test
  void anEmptyAddressOfMetricsIsWrongUsage() {
    assertEquals(2, cni.run("serve", "--metrics", ""));
    assertTrue(cni.err().contains("--metrics \"\" must be unix:PATH or ADDRESS:PORT"), cni::err);
  }

  @Test
  void invalidOptionOfADaemonIsWrongUsage() {
    assertEquals(2, cni.run("serve", "--daemon", "dhcp -leases /x -bogus"));
    String message =
        "--daemon \"dhcp -leases /x -bogus\": dhcp daemon: -bogus is not a known option";
    assertTrue(cni.err().startsWith("cni: " + message), cni::err);
    assertTrue(cni.err().contains("-socketpath PATH"), cni::err);
  }

  @Test
  void missingCommandPrintsUsage() {
    assertEquals(2, cni.run());
    assertTrue(cni.err().contains("missing command"), cni::err);
    assertTrue(cni.err().contains("\nObserve:\n"), cni::err);
    assertFalse(cni.err().contains("\nOther:\n"), cni::err);
    assertTrue(cni.err().contains("Examples:"), cni::err);
  }

  @Test
  void listOptionsAcceptCommasAndRepetition() {
    assertEquals(2, cni.run("list", "--order", "built-in,directory", "--timeout", "3x"));
    assertTrue(cni.err().contains("--timeout: 3x is not a time"), cni::err);
    assertEquals(2, cni.run("list", "--order", "built-in", "--order", "executable,elsewhere"));
    assertTrue(cni.err().contains("elsewhere is none of"), cni::err);
  }

  @Test
  void updateNamesWhatIsWrongWithItsArguments(@TempDir Path cache) {
    String[] line = {"update", "n", "a", "--cache", cache.toString(), "--set", "mtu=1"};
    assertEquals(1, cni.run(line));
    assertTrue(cni.err().contains("--set must have the form TYPE.KEY=VALUE"), cni::err);
    line[6] = "bridge.mtu=1";
    assertEquals(1, cni.run(line));
    assertTrue(cni.err().contains("no attachment of /run/netns/a to network n is kept"), cni::err);
    assertEquals(0, cni.run("repair", "--cache", cache.toString()));
    assertEquals("", cni.out());
  }

  /** The reason is printed; with the option the directory is read, and has no module. */
  @Test
  void modulesThatOthersMayReplaceAreDisabledUnlessAllowed(@TempDir Path modules) throws Exception {
    Path plugin = Files.createDirectory(modules.resolve("demo"));
    Files.setPosixFilePermissions(plugin, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertEquals(0, cni.run("plugins", "--modules", modules.toString()));
    assertTrue(cni.out().contains(plugin + " may be written to by others (mode 0777)"), cni::out);
    assertTrue(cni.out().contains("--allow-untrusted-plugins"), cni::out);
    cni.run("plugins", "--modules", modules.toString(), "--allow-untrusted-plugins");
    assertTrue(cni.out().contains("there is no module in it"), cni::out);
  }

  @Test
  void invalidCapabilityArgsAreNamedByTheirOption(@TempDir Path networks) throws Exception {
    Files.writeString(
        networks.resolve("n.conflist"),
        "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"loopback\"}]}");
    int status =
        cni.run(
            "add", "--networks", networks.toString(), "--capability-args", "[", "n", "/no/such");
    assertEquals(1, status);
    assertTrue(cni.err().contains("--capability-args"), cni::err);
    assertFalse(cni.err().contains("CAP_ARGS"), cni::err);
  }

  @Test
  void errorsArePrintedInUtf8WhateverTheLocale() {
    System.setOut(new PrintStream(System.out, true, US_ASCII));
    assertEquals(1, cni.run("show", "--networks", "/no/such/é", "n"));
    assertTrue(cni.out().contains("/no/such/é"), () -> cni.out());
  }

  @Test
  void errorsOfTheJvmAreReportedAsFailures() {
    int status =
        Main.exitStatus(
            () -> {
              throw new StackOverflowError("too deep");
            });
    assertEquals(1, status);
    assertEquals("cni: java.lang.StackOverflowError: too deep (code 999)\n", cni.err());
    assertTrue(cni.out().contains("999"), cni.out());
  }
}
