// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.policy.Policy;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PolicyDirectoryTest {
  private final FileSystem files = Jimfs.newFileSystem(Configuration.unix());
  private final Path directory = files.getPath("/etc/cni/policy.d");

  @BeforeEach
  void createDirectory() throws IOException {
    Files.createDirectories(directory);
  }

  @AfterEach
  void close() throws IOException {
    files.close();
  }

  private Path write(String name, String text) throws IOException {
    return Files.writeString(directory.resolve(name), text);
  }

  private static String policy(String name) {
    return "{\"name\": \"" + name + "\", \"podSelector\": {}}";
  }

  private List<String> names() {
    PolicyFiles read = PolicyReader.readDirectory(directory);
    assertEquals(List.of(), read.problems());
    return read.policies().stream().map(Policy::name).toList();
  }

  private List<String> problems() {
    return PolicyReader.readDirectory(directory).problems().stream()
        .map(Problem::toString)
        .toList();
  }

  @Test
  void allFilesAreReadAndPoliciesSortedByName() throws IOException {
    Path list = write("10.json", "[" + policy("c") + "," + policy("a") + "]");
    Path single = write("20.JSON", policy("b"));
    write("30.json", "[]");
    assertEquals(List.of("a", "b", "c"), names());
    PolicyFiles read = PolicyReader.readDirectory(directory);
    assertEquals(list, read.files().get("c"));
    assertEquals(single, read.files().get("b"));
  }

  @Test
  void filesOfEditorsAndOtherFilesAreIgnored() throws IOException {
    for (String name :
        List.of("a.json~", ".a.json.swp", ".a.json", "#a.json#", "a.json.bak", "a.txt")) {
      write(name, "not JSON");
    }
    Files.createSymbolicLink(directory.resolve(".#a.json"), files.getPath("user@host.1234"));
    write("a.json", policy("a"));
    assertEquals(List.of("a"), names());
  }

  @Test
  void yamlIsNotIgnored() throws IOException {
    write("a.yaml", "kind: NetworkPolicy");
    write("b.yml", "kind: NetworkPolicy");
    List<String> problems = problems();
    assertEquals(2, problems.size());
    assertTrue(
        problems.getFirst().contains(".yaml: is YAML: convert it to JSON"), problems::toString);
  }

  @Test
  void aMissingDirectoryIsAProblem() throws IOException {
    Files.delete(directory);
    assertEquals(
        List.of(
            "/etc/cni/policy.d: does not exist: create it by \"mkdir -p /etc/cni/policy.d\" (an empty"
                + " directory restricts nothing)"),
        problems());
  }

  @Test
  void aFileInPlaceOfTheDirectoryIsAProblem() throws IOException {
    Files.delete(directory);
    Files.createFile(directory);
    assertEquals(1, problems().size());
  }

  @Test
  void namesAreUniqueAcrossFiles() throws IOException {
    write("a.json", policy("x"));
    write("b.json", "[" + policy("y") + ",\n" + policy("x") + ",\n" + policy("y") + "]");
    assertEquals(
        List.of(
            "/etc/cni/policy.d/b.json:2: [1].name \"x\" is the name of another policy, in"
                + " /etc/cni/policy.d/a.json: names must be unique; rename one",
            "/etc/cni/policy.d/b.json:3: [2].name \"y\" is the name of another policy, in this"
                + " file: names must be unique; rename one"),
        problems());
  }

  @Test
  void eachBrokenFileIsReportedAndTheOthersAreRead() throws IOException {
    write("1-empty.json", " \n");
    write("2-syntax.json", "{\n  \"name\": \"a\",\n}");
    write("3-text.json", policy("z") + "\nx");
    Files.write(
        directory.resolve("4-latin1.json"),
        "{\n\"name\": \"é\"}".getBytes(StandardCharsets.ISO_8859_1));
    Files.write(directory.resolve("5-cut.json"), new byte[] {'{', (byte) 0xc3});
    Files.createDirectory(directory.resolve("6-directory.json"));
    Files.createSymbolicLink(directory.resolve("7-dangling.json"), directory.resolve("absent"));
    Files.createSymbolicLink(directory.resolve("8-loop.json"), directory.resolve("8-loop.json"));
    Files.write(directory.resolve("9-huge.json"), new byte[PolicyReader.MAX_FILE_SIZE + 1]);
    write("99-deep.json", "[".repeat(100_000));
    write("good.json", policy("good"));
    List<String> problems = problems();
    List<String> expected =
        List.of(
            "1-empty.json: is empty: write a policy",
            "2-syntax.json:3: it is not valid JSON (line 3, column 1)",
            "3-text.json:2: it is not valid JSON (line 2",
            "4-latin1.json:2: is not UTF-8: save the file in this encoding",
            "5-cut.json:1: is not UTF-8",
            "6-directory.json: cannot be read: is a directory, not a regular file",
            "7-dangling.json: cannot be read: no such file or directory",
            "8-loop.json: cannot be read:",
            "9-huge.json: cannot be read: is larger than 4194304 bytes",
            "99-deep.json: it is not valid JSON");
    assertEquals(expected.size(), problems.size(), problems::toString);
    for (String start : expected) {
      assertTrue(
          problems.stream().anyMatch(it -> it.startsWith(directory + "/" + start)),
          () -> start + " in " + problems);
    }
    PolicyFiles read = PolicyReader.readDirectory(directory);
    assertEquals(List.of("good"), read.policies().stream().map(Policy::name).toList());
  }

  @Test
  void linksAreFollowedAsKubernetesMountsAConfigMap() throws IOException {
    Path data = Files.createDirectory(directory.resolve("..2026"));
    Files.writeString(data.resolve("a.json"), policy("a"));
    Files.createSymbolicLink(directory.resolve("..data"), files.getPath("..2026"));
    Files.createSymbolicLink(directory.resolve("a.json"), files.getPath("..data/a.json"));
    assertEquals(List.of("a"), names());
  }

  @Test
  void allFilesTogetherHaveALimit() throws IOException {
    for (int i = 0; i < 5; i++) {
      write(i + ".json", " ".repeat(PolicyReader.MAX_FILE_SIZE - 100) + policy("p" + i));
    }
    assertEquals(
        List.of(
            "/etc/cni/policy.d/4.json: is one file too many: all together may have 16777216 bytes"),
        problems());
  }
}
