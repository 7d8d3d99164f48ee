// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Names;
import cni.runtime.Cni;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni new-plugin}. */
final class NewPluginCommand extends Subcommand {
  /** The archetype's files. Java sources are moved into the package's directory. */
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
          "src/main/resources/META-INF/cni/conformance/__artifactId__.json");

  /** The files of which each kind has its own. */
  private static final List<String> KIND_FILES =
      List.of(
          "README.md",
          "src/main/java/Plugin.java",
          "src/test/java/PluginTest.java",
          "src/test/java/PluginKernelTest.java",
          "src/main/resources/META-INF/cni/conformance/__artifactId__.json");

  /** The kind whose files are the archetype's. */
  private static final String CHAINED = "chained";

  private static final List<String> KINDS = List.of(CHAINED, "interface", "ipam");

  private final PositionalParamSpec type =
      requiredParameter(0, "NAME").description("Plugin type, such as vxlan.").build();
  private final OptionSpec kind =
      OptionSpec.builder("--kind")
          .type(String.class)
          .defaultValue(CHAINED)
          .completionCandidates(KINDS)
          .paramLabel("KIND")
          .description(
              "What the plugin does: chained (changes the interface of another plugin), interface"
                  + " (creates one), ipam (assigns addresses); default: ${DEFAULT-VALUE}.")
          .build();
  private final OptionSpec javaPackage =
      OptionSpec.builder("--package")
          .type(String.class)
          .paramLabel("PACKAGE")
          .description("Java package and module name; default: com.example.NAME.")
          .build();
  private final OptionSpec directory =
      OptionSpec.builder("--dir")
          .type(Path.class)
          .paramLabel("DIR")
          .description("Project directory; default: ./NAME.")
          .build();

  NewPluginCommand() {
    super(
        "Create a Maven project for a plugin.",
        "The project has tests and builds a module directory and an executable;"
            + " docs/writing-plugins.md explains it.");
    spec().addPositional(type).addOption(kind).addOption(javaPackage).addOption(directory);
  }

  @Override
  public Integer call() throws CniException, IOException {
    String name = type.getValue();
    Names.requirePluginType(name);
    requireNewType(name);
    String chosenKind = kind.getValue();
    if (!KINDS.contains(chosenKind)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "--kind " + chosenKind + " is none of " + String.join(", ", KINDS));
    }
    @Nullable String given = javaPackage.getValue();
    String packageName = given == null ? "com.example." + packageSegment(name) : given;
    requirePackage(packageName);
    @Nullable Path chosen = directory.getValue();
    Path project = chosen == null ? Path.of(name) : chosen;
    if (Files.exists(project, LinkOption.NOFOLLOW_LINKS)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          project + " exists already; choose another directory with --dir");
    }
    for (String file : TEMPLATE_FILES) {
      Path target = project.resolve(targetPath(file, name, packageName));
      Path parent = target.getParent();
      if (parent != null) {
        Files.createDirectories(parent);
      }
      Files.writeString(
          target,
          fill(read(source(file, chosenKind)), name, packageName),
          StandardOpenOption.CREATE_NEW,
          StandardOpenOption.WRITE);
    }
    System.out.println(project + ": run \"mvn verify\" in it");
    return 0;
  }

  /** Converts a plugin type to a valid segment of a package name. */
  private static String packageSegment(String name) {
    String word = name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
    return Character.isJavaIdentifierStart(word.isEmpty() ? '0' : word.charAt(0))
        ? word
        : "plugin" + word;
  }

  private static void requirePackage(String packageName) throws CniException {
    if (!packageName.matches("[a-z_][a-z0-9_]*(\\.[a-z_][a-z0-9_]*)*")) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "--package " + packageName + " is not a package name, such as com.example.vxlan");
    }
  }

  /** Refuses the type of a plugin of this image, which would win over the new one. */
  private static void requireNewType(String name) throws CniException {
    try (Cni cni = Cni.builder().oneShot().executables().pluginDirectories().build()) {
      if (cni.plugins().findInProcess(name).isPresent()) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            name + " is the type of a built-in plugin; choose another name, such as my-" + name);
      }
    }
  }

  private static String source(String file, String kind) {
    boolean isOwn = !kind.equals(CHAINED) && KIND_FILES.contains(file);
    return isOwn ? "kinds/" + kind + "/" + file : file;
  }

  private static String targetPath(String file, String name, String packageName) {
    boolean inPackage = file.endsWith(".java") && !file.endsWith("module-info.java");
    int slash = file.lastIndexOf('/') + 1;
    return inPackage
        ? file.substring(0, slash) + packageName.replace('.', '/') + "/" + file.substring(slash)
        : file.replace("__artifactId__", name);
  }

  private static String fill(String text, String name, String packageName) {
    int dot = packageName.lastIndexOf('.');
    return text.replace("${groupId}", dot < 0 ? packageName : packageName.substring(0, dot))
        .replace("${artifactId}", name)
        .replace("${package}", packageName)
        .replace("${version}", "0.1.0")
        .replace("${cniVersion}", Image.version());
  }

  private static String read(String file) throws IOException {
    try (InputStream in = NewPluginCommand.class.getResourceAsStream("new-plugin/" + file)) {
      if (in == null) {
        throw new IOException("the template file " + file + " is missing from this image");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
