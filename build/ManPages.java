// SPDX-License-Identifier: Apache-2.0
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.codegen.docgen.manpage.ManPageGenerator;

/**
 * Writes a manual page in AsciiDoc for each command, from the model that {@code --help} prints.
 *
 * <p>usage: java -cp CLASS_PATH ManPages.java DIRECTORY
 */
final class ManPages {
  private ManPages() {}

  public static void main(String[] arguments) throws IOException {
    Path directory = Files.createDirectories(Path.of(arguments[0]));
    CommandSpec root = new CommandLine(cni.cli.Main.spec()).getCommandSpec();
    separateParagraphs(root);
    int status =
        ManPageGenerator.generateManPage(directory.toFile(), null, new boolean[0], true, root);
    if (status != 0) {
      System.exit(status);
    }
    try (Stream<Path> pages = Files.list(directory)) {
      for (Path page : pages.toList()) {
        Files.writeString(page, finished(Files.readString(page), root, page.toFile()));
      }
    }
  }

  /** Puts an empty line between the paragraphs of descriptions: AsciiDoc would join them. */
  private static void separateParagraphs(CommandSpec spec) {
    List<String> separated = new ArrayList<>();
    for (String paragraph : spec.usageMessage().description()) {
      if (!separated.isEmpty()) {
        separated.add("");
      }
      separated.add(paragraph);
    }
    spec.usageMessage().description(separated.toArray(String[]::new));
    spec.subcommands().values().forEach(it -> separateParagraphs(it.getCommandSpec()));
  }

  /** Adds the other pages to a page, and the name of the manual. */
  private static String finished(String page, CommandSpec root, File file) {
    String name = file.getName().replace(".adoc", "");
    List<String> others = new ArrayList<>();
    if (!name.equals(root.name())) {
      others.add(root.name());
    }
    if (name.equals(root.name()) || name.equals("cni-serve")) {
      others.addAll(List.of("cni-install", "ip-netns", "systemd.unit"));
    }
    String end = "// end::picocli-generated-full-manpage[]";
    String seeAlso =
        "== See also\n\n" + String.join(", ", others.stream().map(ManPages::reference).toList());
    return page.replace(":manmanual: Cni Manual", ":manmanual: CNI for the JVM")
        .replace(end, seeAlso + "\n\n" + end);
  }

  private static String reference(String page) {
    return switch (page) {
      case "ip-netns" -> "*ip-netns*(8)";
      case "systemd.unit" -> "*systemd.unit*(5)";
      default -> "*" + page + "*(1)";
    };
  }
}
