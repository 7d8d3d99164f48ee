package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Names;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni new-plugin}. */
final class NewPluginCommand extends Subcommand {
  /** The archetype's files; those of sources go into the package's directory. */
  private static final List<String> TEMPLATE_FILES =
      List.of(
          "pom.xml",
          "README.md",
          "src/main/java/module-info.java",
          "src/main/java/Main.java",
          "src/main/java/Plugin.java",
          "src/main/resources/META-INF/services/cni.api.NetworkPlugin",
          "src/test/java/PluginTest.java",
          "src/test/java/PluginKernelTest.java",
          "src/test/resources/setting.json");

  private final PositionalParamSpec type =
      requiredParameter(0, "NAME").description("The plugin's type, such as vxlan.").build();
  private final OptionSpec javaPackage =
      OptionSpec.builder("--package")
          .type(String.class)
          .paramLabel("PACKAGE")
          .description("Its Java package and module; com.example.NAME.")
          .build();
  private final OptionSpec directory =
      OptionSpec.builder("--dir")
          .type(Path.class)
          .paramLabel("DIR")
          .description("Where the project goes; ./NAME.")
          .build();

  NewPluginCommand() {
    super(
        "Makes a Maven project of a plugin to begin from: it builds, has tests, passes the"
            + " conformance checks, and becomes both a directory of modules and an executable.",
        "The walk-through is docs/writing-plugins.md.");
    spec().addPositional(type).addOption(javaPackage).addOption(directory);
  }

  @Override
  public Integer call() throws CniException, IOException {
    String name = type.getValue();
    Names.requirePluginType(name);
    @Nullable String given = javaPackage.getValue();
    String own = given == null ? "com.example." + packageSegment(name) : given;
    requirePackage(own);
    @Nullable Path chosen = directory.getValue();
    Path project = chosen == null ? Path.of(name) : chosen;
    if (Files.exists(project)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, project + " exists; choose another with --dir");
    }
    for (String file : TEMPLATE_FILES) {
      Path target = project.resolve(targetPath(file, own));
      Path parent = target.getParent();
      if (parent != null) {
        Files.createDirectories(parent);
      }
      Files.writeString(target, fill(read(file), name, own));
    }
    System.out.println(project + ": run \"mvn verify\" in it");
    return 0;
  }

  /** A name that Java takes. */
  private static String packageSegment(String name) {
    String word = name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
    return Character.isJavaIdentifierStart(word.isEmpty() ? '0' : word.charAt(0))
        ? word
        : "plugin" + word;
  }

  private static void requirePackage(String own) throws CniException {
    if (!own.matches("[a-z_][a-z0-9_]*(\\.[a-z_][a-z0-9_]*)*")) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "--package " + own + " is not a package's name, such as com.example.vxlan");
    }
  }

  private static String targetPath(String file, String own) {
    boolean inPackage = file.endsWith(".java") && !file.endsWith("module-info.java");
    int slash = file.lastIndexOf('/') + 1;
    return inPackage
        ? file.substring(0, slash) + own.replace('.', '/') + "/" + file.substring(slash)
        : file;
  }

  private static String fill(String text, String name, String own) {
    int dot = own.lastIndexOf('.');
    return text.replace("${groupId}", dot < 0 ? own : own.substring(0, dot))
        .replace("${artifactId}", name)
        .replace("${package}", own)
        .replace("${version}", "0.1.0")
        .replace("${cniVersion}", Image.version());
  }

  private static String read(String file) throws IOException {
    try (InputStream in = NewPluginCommand.class.getResourceAsStream("new-plugin/" + file)) {
      if (in == null) {
        throw new IOException("this image has no " + file);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
