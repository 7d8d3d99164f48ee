// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import cni.api.CniException;
import cni.api.Json;
import cni.api.internal.IoErrors;
import cni.api.internal.RegularFiles;
import cni.policy.Policy;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.StringNode;

/**
 * Reads policies from JSON files. A file has one policy or a list of them; each has our form or is
 * a manifest of Kubernetes (docs/policies.md). Reports everything that is wrong in all files, with
 * the place and the remedy, rather than the first problem.
 */
public final class PolicyReader {
  /** The size limit of a file, in bytes; Kubernetes stores objects of up to 1.5 MiB. */
  static final int MAX_FILE_SIZE = 4 << 20;

  private static final String EXTENSION = ".json";
  private static final List<String> YAML = List.of(".yaml", ".yml");

  private final Map<String, Policy> policies = new TreeMap<>();
  private final Map<String, Path> files = new TreeMap<>();
  private final List<Problem> problems = new ArrayList<>();

  /** The size limit of the files that are still to be read, in bytes. */
  private long remaining = RegularFiles.MAX_SIZE;

  private PolicyReader() {}

  /**
   * Reads the files of a directory whose names end in {@code .json}, in the order of their names.
   * Hidden files, such as those of editors, and files with another ending are ignored, but files of
   * YAML are a problem: their author expects that they are in force.
   *
   * <p>A directory that does not exist or cannot be read is a problem too: no policy would mean
   * that nothing is restricted.
   */
  public static PolicyFiles readDirectory(Path directory) {
    var reader = new PolicyReader();
    for (Path file : reader.list(directory)) {
      reader.readFile(file);
    }
    return reader.result();
  }

  /**
   * Reads the policies of one text.
   *
   * @param text UTF-8
   * @param file the origin of the text, for problems
   */
  public static PolicyFiles read(byte[] text, Path file) {
    var reader = new PolicyReader();
    reader.readText(text, file);
    return reader.result();
  }

  private PolicyFiles result() {
    return new PolicyFiles(List.copyOf(policies.values()), files, problems);
  }

  private List<Path> list(Path directory) {
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory)) {
      for (Path file : stream) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        if (name.startsWith(".") || name.startsWith("#")) {
          continue;
        }
        if (name.endsWith(EXTENSION)) {
          found.add(file);
        } else if (YAML.stream().anyMatch(name::endsWith)) {
          add(
              file,
              "is YAML: convert it to JSON, as with \"kubectl create --dry-run=client -o json -f\"");
        }
      }
    } catch (NoSuchFileException e) {
      add(
          directory,
          "does not exist: create it by \"mkdir -p %s\" (an empty directory restricts nothing)"
              .formatted(directory));
    } catch (IOException | DirectoryIteratorException e) {
      add(
          directory,
          "cannot be read: "
              + IoErrors.reason(e)
              + "; make it a directory that root can read (an empty one restricts nothing)");
    }
    found.sort(Comparator.comparing(file -> file.getFileName().toString()));
    return found;
  }

  private void add(Path file, String remedy) {
    problems.add(new Problem(file, OptionalInt.empty(), "", "", remedy));
  }

  private void readFile(Path file) {
    byte[] text;
    try {
      text = RegularFiles.read(file, MAX_FILE_SIZE);
    } catch (IOException e) {
      add(file, "cannot be read: " + IoErrors.reason(e));
      return;
    }
    remaining -= text.length;
    if (remaining < 0) {
      add(file, "is one file too many: all together may have " + RegularFiles.MAX_SIZE + " bytes");
    } else {
      readText(text, file);
    }
  }

  private void readText(byte[] text, Path file) {
    var collector = new ProblemCollector(file);
    int badLine = lineOfInvalidUtf8(text);
    if (badLine > 0) {
      collector.add(OptionalInt.of(badLine), "is not UTF-8: save the file in this encoding");
    } else {
      parse(text, file, collector);
    }
    problems.addAll(collector.withLines(text));
  }

  private void parse(byte[] text, Path file, ProblemCollector collector) {
    JsonNode document;
    try {
      document = Json.parseAny(text, "it");
    } catch (CniException e) {
      OptionalInt line =
          e.getCause() instanceof JacksonException cause && cause.getLocation() != null
              ? OptionalInt.of(cause.getLocation().getLineNr())
              : OptionalInt.empty();
      collector.add(line, e.getMessage());
      return;
    }
    if (document.isMissingNode()) {
      collector.add(OptionalInt.empty(), "is empty: write a policy, or [] for none");
      return;
    }
    for (PolicyParser.Named named : new PolicyParser(collector).read(document)) {
      addPolicy(named, file, collector);
    }
  }

  private void addPolicy(PolicyParser.Named named, Path file, ProblemCollector collector) {
    String name = named.policy().name();
    Path other = files.putIfAbsent(name, file);
    if (other == null) {
      policies.put(name, named.policy());
    } else {
      String place = other.equals(file) ? "this file" : other.toString();
      collector.add(
          named.nameKey(),
          StringNode.valueOf(name),
          "is the name of another policy, in " + place + ": names must be unique; rename one");
    }
  }

  /** Returns the line, from 1, of the first bytes that are not UTF-8; 0 if there are none. */
  private static int lineOfInvalidUtf8(byte[] text) {
    ByteBuffer bytes = ByteBuffer.wrap(text);
    CharBuffer characters = CharBuffer.allocate(text.length);
    CoderResult result = StandardCharsets.UTF_8.newDecoder().decode(bytes, characters, true);
    if (!result.isError()) {
      return 0;
    }
    int line = 1;
    for (int i = 0; i < bytes.position(); i++) {
      line += text[i] == '\n' ? 1 : 0;
    }
    return line;
  }
}
