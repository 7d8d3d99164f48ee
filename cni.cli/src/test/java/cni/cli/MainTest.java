package cni.cli;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Parsing of the command line: usage, versions and errors, before a command does anything. */
@Isolated("captures the standard streams of the process")
class MainTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final PrintStream originalOut = System.out;
  private final PrintStream originalErr = System.err;

  @BeforeEach
  void captureStreams() {
    System.setOut(new PrintStream(out, true, UTF_8));
    System.setErr(new PrintStream(err, true, UTF_8));
  }

  @AfterEach
  void restoreStreams() {
    System.setOut(originalOut);
    System.setErr(originalErr);
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
    assertEquals(0, Main.execute(command, "--help"));
    assertTrue(out.toString(UTF_8).startsWith("Usage: cni " + command + " "), out::toString);
    out.reset();
    assertEquals(0, Main.execute(command, "-V"));
    assertTrue(out.toString(UTF_8).startsWith("cni "), out::toString);
    assertEquals("", err.toString(UTF_8));
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
    assertEquals(2, Main.execute(line.split(" ", -1)));
    List<String> lines = err.toString(UTF_8).lines().toList();
    assertTrue((lines.getFirst() + "\n").startsWith("cni: " + why), err::toString);
    assertTrue(lines.getLast().matches("See \"cni( \\w+)* --help\"\\."), err::toString);
    assertEquals(2, lines.size(), err::toString);
    assertEquals("", out.toString(UTF_8));
  }

  @Test
  void helpIsACommandToo() {
    assertEquals(0, Main.execute("help", "policy", "show"));
    String help = out.toString(UTF_8);
    assertTrue(help.startsWith("Usage: cni policy show "), help);
    out.reset();
    assertEquals(0, Main.execute("policy", "show", "--help"));
    assertEquals(help, out.toString(UTF_8));
    out.reset();
    assertEquals(0, Main.execute("help"));
    assertTrue(out.toString(UTF_8).contains("\nObserve:\n  list "), out::toString);
    assertEquals(2, Main.execute("help", "frobnicate"));
  }

  @Test
  void invalidOptionOfADaemonIsWrongUsage() {
    assertEquals(2, Main.execute("serve", "--daemon", "dhcp -leases /x -bogus"));
    String message =
        "--daemon \"dhcp -leases /x -bogus\": dhcp daemon: -bogus is not a known option";
    assertTrue(err.toString(UTF_8).startsWith("cni: " + message), err::toString);
    assertTrue(err.toString(UTF_8).contains("-socketpath PATH"), err::toString);
  }

  @Test
  void missingCommandPrintsUsage() {
    assertEquals(2, Main.execute());
    assertTrue(err.toString(UTF_8).contains("missing command"), err::toString);
    assertTrue(err.toString(UTF_8).contains("Examples:"), err::toString);
  }

  @Test
  void listOptionsAcceptCommasAndRepetition() {
    assertEquals(2, Main.execute("list", "--order", "built-in,directory", "--timeout", "3x"));
    assertTrue(err.toString(UTF_8).contains("--timeout: 3x is not a time"), err::toString);
    err.reset();
    assertEquals(2, Main.execute("list", "--order", "built-in", "--order", "executable,elsewhere"));
    assertTrue(err.toString(UTF_8).contains("elsewhere is none of"), err::toString);
  }

  @Test
  void updateNamesWhatIsWrongWithItsArguments(@TempDir Path cache) {
    String[] line = {"update", "n", "a", "--cache", cache.toString(), "--set", "mtu=1"};
    assertEquals(1, Main.execute(line));
    assertTrue(
        err.toString(UTF_8).contains("--set must have the form TYPE.KEY=VALUE"), err::toString);
    line[6] = "bridge.mtu=1";
    err.reset();
    assertEquals(1, Main.execute(line));
    assertTrue(
        err.toString(UTF_8).contains("no attachment of /run/netns/a to network n is kept"),
        err::toString);
    out.reset();
    assertEquals(0, Main.execute("repair", "--cache", cache.toString()));
    assertEquals("", out.toString(UTF_8));
  }

  /** The reason is printed; with the option the directory is read, and has no module. */
  @Test
  void modulesThatOthersMayReplaceAreDisabledUnlessAllowed(@TempDir Path modules) throws Exception {
    Path plugin = Files.createDirectory(modules.resolve("demo"));
    Files.setPosixFilePermissions(plugin, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertEquals(0, Main.execute("plugins", "--modules", modules.toString()));
    assertTrue(
        out.toString(UTF_8).contains(plugin + " may be written to by others (mode 0777)"),
        out::toString);
    assertTrue(out.toString(UTF_8).contains("--allow-untrusted-plugins"), out::toString);
    out.reset();
    Main.execute("plugins", "--modules", modules.toString(), "--allow-untrusted-plugins");
    assertTrue(out.toString(UTF_8).contains("there is no module in it"), out::toString);
  }

  @Test
  void invalidCapabilityArgsAreNamedByTheirOption(@TempDir Path networks) throws Exception {
    Files.writeString(
        networks.resolve("n.conflist"),
        "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"loopback\"}]}");
    int status =
        Main.execute(
            "add", "--networks", networks.toString(), "--capability-args", "[", "n", "/no/such");
    assertEquals(1, status);
    assertTrue(err.toString(UTF_8).contains("--capability-args"), err::toString);
    assertFalse(err.toString(UTF_8).contains("CAP_ARGS"), err::toString);
  }

  @Test
  void errorsArePrintedInUtf8WhateverTheLocale() {
    System.setOut(new PrintStream(out, true, US_ASCII));
    assertEquals(1, Main.execute("show", "--networks", "/no/such/é", "n"));
    assertTrue(out.toString(UTF_8).contains("/no/such/é"), () -> out.toString(UTF_8));
  }

  @Test
  void errorsOfTheJvmAreReportedAsFailures() {
    int status =
        Main.exitStatus(
            () -> {
              throw new StackOverflowError("too deep");
            });
    assertEquals(1, status);
    assertEquals("cni: java.lang.StackOverflowError: too deep (code 999)\n", err.toString(UTF_8));
    assertTrue(out.toString(UTF_8).contains("999"), out.toString(UTF_8));
  }
}
