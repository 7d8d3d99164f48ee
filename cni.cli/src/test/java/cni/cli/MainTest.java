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
        "policy",
        "run",
        "events",
        "list",
        "show",
        "validate",
        "version",
        "plugins",
        "new-plugin",
        "conformance",
        "install",
        "dhcp",
        "serve",
        "completion",
        "demo"
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
        "add; Missing required parameters: 'NETWORK', 'NETNS'",
        "check n; Missing required parameter: 'NETNS'",
        "del n; Missing required parameter: 'NETNS'",
        "update; Missing required parameter: 'NETWORK'",
        "update n; name the container by NETNS or --container-id, or give --all",
        "update n a --all; --all updates every container",
        "update n a; nothing to change: give --capability-args",
        "gc; Missing required parameter: 'NETWORK'",
        "status; Missing required parameter: 'NETWORK'",
        "show; Missing required parameter: 'NETWORK'",
        "run; Missing required parameter: 'COMMAND'",
        "run --network n --; Missing required parameter: 'COMMAND'",
        "validate; Missing required parameter: 'FILE'",
        "version; Missing required parameter: 'TYPE'",
        "new-plugin; Missing required parameter: 'NAME'",
        "conformance; Missing required parameter: 'TYPE|PATH'",
        "conformance bridge --patience soon; 'soon' is not an int",
        "install bridge; Missing required option: '--dir=DIR'",
        "serve --daemon bogus; --daemon \"bogus\": there is no such daemon; allowed: dhcp, policy, none",
        "policy; Missing command; use one of the commands below",
        "policy show; Missing required parameter: 'NAME'",
        "policy explain a; Missing required parameter: 'DESTINATION[:PORT]'",
        "policy list x; Unmatched argument at index 2: 'x'",
        "dhcp; Missing word \"daemon\"",
        "list n; Unmatched argument at index 1: 'n'",
        "list --timeout; Missing required parameter for option '--timeout' (TIME)",
        "list --order nowhere; nowhere is none of built-in, directory, executable",
        "add n a --bogus; Unknown option: '--bogus'",
        "frobnicate; Unmatched argument at index 0: 'frobnicate'"
      })
  void invalidCommandLineIsWrongUsage(String line, String why) {
    assertEquals(2, Main.execute(line.split(" ", -1)));
    assertTrue(err.toString(UTF_8).contains(why), err::toString);
    assertEquals("", out.toString(UTF_8));
  }

  @Test
  void invalidOptionOfADaemonIsWrongUsage() {
    assertEquals(2, Main.execute("serve", "--daemon", "dhcp -leases /x -bogus"));
    String message =
        "--daemon \"dhcp -leases /x -bogus\": dhcp daemon: -bogus is not a known option";
    assertTrue(err.toString(UTF_8).startsWith(message), err::toString);
    assertTrue(err.toString(UTF_8).contains("-socketpath PATH"), err::toString);
  }

  @Test
  void missingCommandPrintsUsage() {
    assertEquals(2, Main.execute());
    assertTrue(err.toString(UTF_8).contains("Missing command"), err::toString);
    assertTrue(err.toString(UTF_8).contains("Examples:"), err::toString);
  }

  @Test
  void listOptionsAcceptCommasAndRepetition() {
    assertEquals(1, Main.execute("list", "--order", "built-in,directory", "--timeout", "3x"));
    assertTrue(err.toString(UTF_8).contains("--timeout 3x is not a time"), err::toString);
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
