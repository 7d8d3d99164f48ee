// SPDX-License-Identifier: Apache-2.0
import com.google.googlejavaformat.java.Formatter;
import com.google.googlejavaformat.java.FormatterException;
import com.google.googlejavaformat.java.ImportOrderer;
import com.google.googlejavaformat.java.JavaFormatterOptions;
import com.google.googlejavaformat.java.RemoveUnusedImports;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;

/**
 * Checks or applies google-java-format, and the licence's line at the beginning of each file. The
 * build runs this file with the selected JDK, because the formatter parses with the compiler of the
 * JDK that it runs on, and Maven may run on an older one.
 *
 * <p>Arguments: {@code check} or {@code apply}, then the project's directory.
 */
class Format {
  private static final String LICENCE = "// SPDX-License-Identifier: Apache-2.0\n";

  public static void main(String[] args) throws Exception {
    boolean apply = args[0].equals("apply");
    var root = Path.of(args[1]);
    var unformatted = new ArrayList<Path>();
    try (var files = Files.walk(root)) {
      for (Path file : (Iterable<Path>) files.filter(Format::isSource)::iterator) {
        String source = Files.readString(file);
        String formatted = format(file, source);
        if (!formatted.equals(source)) {
          unformatted.add(root.relativize(file));
          if (apply) {
            Files.writeString(file, formatted);
          }
        }
      }
    }
    if (!unformatted.isEmpty() && !apply) {
      unformatted.forEach(
          file -> System.err.println("not formatted, or without the licence's line: " + file));
      System.err.println("To format: mvn -N process-sources -Dformat=apply");
      System.exit(1);
    }
  }

  private static boolean isSource(Path file) {
    String name = file.toString();
    // The archetype's files are not valid Java until their placeholders are replaced.
    return name.endsWith(".java")
        && !name.contains("/target/")
        && !name.contains("/archetype-resources/");
  }

  private static String format(Path file, String source) throws Exception {
    var style = JavaFormatterOptions.Style.GOOGLE;
    try {
      String licensed = source.startsWith(LICENCE) ? source : LICENCE + source;
      String imports = RemoveUnusedImports.removeUnusedImports(licensed);
      return new Formatter().formatSource(ImportOrderer.reorderImports(imports, style));
    } catch (FormatterException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    }
  }
}
