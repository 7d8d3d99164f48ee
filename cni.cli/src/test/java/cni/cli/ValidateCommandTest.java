// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Json;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** {@code cni validate}, and the warnings of the other commands about configurations. */
@Isolated("captures the standard streams of the process")
class ValidateCommandTest {
  private final CapturedCommand cni = new CapturedCommand();

  @TempDir Path directory;

  @AfterEach
  void restoreStreams() {
    cni.close();
  }

  private Path file(String name, String network, String more) throws Exception {
    return Files.writeString(
        directory.resolve(name),
        """
        { "cniVersion": "1.0.0", "name": "%s", "plugins": [
         { "type": "loopback"%s } ] }"""
            .formatted(network, more));
  }

  private int run(String command, String... arguments) {
    List<String> line = new ArrayList<>(List.of(command));
    line.addAll(List.of("--networks", directory.toString(), "--path", directory.toString()));
    line.addAll(List.of("--modules", "", "--cache", directory.resolve("cache").toString()));
    line.addAll(List.of(arguments));
    return cni.run(line.toArray(String[]::new));
  }

  @Test
  void aValidFileHasASummary() throws Exception {
    Path file = file("n.conflist", "n", ", \"dns\": {}");
    assertEquals(0, run("validate", file.toString()));
    assertEquals(file + ": network n is valid: version 1.0.0, capabilities none\n", cni.out());
  }

  @Test
  void warningsFailOnlyStrictly() throws Exception {
    Path file = file("n.conflist", "n", ", \"mtuu\": 1");
    assertEquals(0, run("validate", file.toString()));
    String printed = cni.out();
    assertTrue(
        printed.contains("is valid: version 1.0.0, capabilities none; 1 warning\n"), printed);
    assertTrue(
        printed.contains(file + ":2: warning: plugins[0].mtuu 1 is not a known key"), printed);
    assertEquals(1, run("validate", "--strict", file.toString()));
  }

  @Test
  void missingFileIsTheOnlyProblem(@TempDir Path empty) {
    assertEquals(1, cni.run("validate", empty.resolve("n").toString()));
    assertTrue(cni.out().contains("no such file"), cni::out);
    assertFalse(cni.out().contains("warning"), cni::out);
  }

  @Test
  void errorsFail() throws Exception {
    Path file = file("n.conflist", "n", ", \"dns\": 5");
    assertEquals(1, run("validate", file.toString()));
    assertEquals(
        file
            + ": network n has 1 error\n  "
            + file
            + ":2: error: plugins[0].dns 5 must be an object, not a number\n",
        cni.out());
  }

  @Test
  void withoutArgumentsAllFilesAreValidated() throws Exception {
    file("10.conflist", "a", "");
    file("20.conflist", "b", ", \"dns\": 5");
    file("30.conflist", "b", "");
    assertEquals(1, run("validate", "--json"));
    ObjectNode json = Json.parse(cni.out(), "standard output");
    assertEquals(3, json.get("files").size());
    assertEquals(1, json.get("errors").intValue());
    assertEquals(1, json.get("warnings").intValue());
    assertEquals("plugins[0].dns", json.at("/files/1/problems/0/key").asString());
    assertEquals(2, json.at("/files/1/problems/0/line").intValue());
    assertEquals("1.0.0", json.at("/files/0/cniVersion").asString());
    assertFalse(json.at("/files/1").has("cniVersion"));
  }

  /** Two networks of one bridge with one subnet give both the same addresses. */
  @Test
  void aSecondNetworkWithTheSameAddressesGetsAWarning() throws Exception {
    for (String name : List.of("a", "b", "c")) {
      String subnet = name.equals("c") ? "10.2.0.0/24" : "10.1.0.0/24";
      Files.writeString(
          directory.resolve(name + ".conflist"),
          """
          { "cniVersion": "1.0.0", "name": "%s", "plugins": [
           { "type": "bridge", "bridge": "br7", "isGateway": true,
             "ipam": { "type": "host-local", "subnet": "%s" } } ] }"""
              .formatted(name, subnet));
    }
    assertEquals(0, run("validate", "b"));
    assertTrue(cni.out().contains("10.1.0.1-10.1.0.254 of a and "), cni::out);
    assertEquals(1, run("validate", "--strict"));
    assertEquals(4, cni.out().lines().count(), cni::out);
  }

  @Test
  void aNetworkIsSelectedByItsName() throws Exception {
    file("10.conflist", "a", "");
    file("20.conflist", "b", "");
    file("30.conflist", "b", "");
    assertEquals(0, run("validate", "a"));
    assertEquals(1, cni.out().lines().count(), cni::out);
    assertEquals(0, run("validate", "b"));
    assertEquals(3, cni.out().lines().count(), cni::out);
    assertEquals(1, run("validate", "c"));
    assertTrue(cni.err().contains("no network named \"c\""), cni::err);
  }

  /** Another file's error is no answer. */
  @Test
  void anUnknownNetworkIsSaidToBeUnknown() throws Exception {
    file("10.conflist", "mynet", "");
    Files.writeString(directory.resolve("20.conflist"), "{ broken");
    assertEquals(1, run("validate", "mynett"));
    assertEquals(
        "cni: no network named \"mynett\" in %s: did you mean mynet?; 1 file has no valid name: see \"cni validate\" (code 7)\n"
            .formatted(directory),
        cni.err());
  }

  @Test
  void anUnknownNetworkInADirectoryWithoutNetworksIsReported() throws Exception {
    String unknown = "cni: no network named \"mynet\" in " + directory;
    assertEquals(1, run("validate", "mynet"));
    assertEquals(unknown + ", which has no networks (code 7)\n", cni.err());
    Files.writeString(directory.resolve("10.conflist"), "{ broken");
    assertEquals(1, run("validate", "mynet"));
    assertEquals(
        unknown + ": 1 file has no valid name: see \"cni validate\" (code 7)\n", cni.err());
  }

  @ParameterizedTest
  @ValueSource(strings = {"UTF-16", "UTF-16LE", "UTF-16BE"})
  void aFileInUtf16IsSaidToBe(String charset) throws Exception {
    Path file = file("n.conflist", "n", "");
    Files.write(file, Files.readString(file).getBytes(Charset.forName(charset)));
    assertEquals(1, run("validate", file.toString()));
    assertTrue(cni.out().contains("error: is UTF-16: save it as UTF-8"), cni::out);
  }

  @Test
  void listAndShowWarnOfFilesThatAreNotUsed() throws Exception {
    Path used = file("10.conflist", "n", "");
    Path shadowed = file("20.conflist", "n", "");
    String warning =
        "cni: warning: network n is defined by %s, which is used, and by %s, which is not"
            .formatted(used, shadowed);
    assertEquals(0, run("list"));
    assertTrue(cni.err().startsWith(warning), cni::err);
    assertEquals(0, run("show", "n"));
    assertTrue(cni.err().startsWith(warning), cni::err);
    Files.delete(shadowed);
    assertEquals(0, run("list"));
    assertEquals("", cni.err());
  }

  @Test
  void statusPrintsWarningsAndFailsForErrors() throws Exception {
    Path file = file("10.conflist", "n", ", \"mtuu\": 1");
    assertEquals(0, run("status", "n"));
    assertTrue(cni.err().startsWith("cni: " + file + ":2: warning: plugins[0].mtuu"), cni::err);
    file("10.conflist", "n", ", \"dns\": 5");
    assertEquals(1, run("status", "n"));
    assertTrue(cni.err().contains("plugins[0].dns 5 must be an object"), cni::err);
  }

  @Test
  void anUnknownKeyDoesNotFailAnAdd() throws Exception {
    Path calls = directory.resolve("calls");
    file(
        "10.conflist",
        "n",
        "}, { \"type\": \"debug\", \"cniOutputt\": 1, \"cniOutput\": \"" + calls + "\"");
    assertEquals(0, run("validate"));
    assertTrue(cni.out().contains("cniOutputt 1 is not a known key"), cni::out);
    Files.writeString(
        directory.resolve("10.conflist"),
        "{ \"cniVersion\": \"1.0.0\", \"name\": \"n\", \"type\": \"debug\", \"cniOutputt\": 1,"
            + " \"cniOutput\": \""
            + calls
            + "\" }");
    assertEquals(0, run("add", "n", "/proc/self/ns/net"), cni::err);
    assertTrue(Files.readString(calls).contains("\"cniOutputt\":1"));
    assertEquals("", cni.err());
  }
}
