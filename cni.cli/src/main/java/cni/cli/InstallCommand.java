package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni install}. */
final class InstallCommand extends Subcommand {
  private final OptionSpec directory =
      OptionSpec.builder("--dir")
          .type(Path.class)
          .required(true)
          .paramLabel("DIR")
          .description("The directory, such as /opt/cni/bin; made if it is not there.")
          .build();
  private final OptionSpec force =
      flag("--force", "Replace files that are not links to this image.");
  private final OptionSpec remove = flag("--remove", "Remove the links again, and nothing else.");
  private final PositionalParamSpec types =
      parameters(0, "TYPE").description("The plugins; by default all that the image has.").build();

  InstallCommand() {
    super(
        "Puts the plugins of this image into a directory of plugin executables, each a link to the"
            + " image: for runtimes that know nothing of Java.",
        "A file of somebody else is only replaced with --force.");
    spec().addOption(directory).addOption(force).addOption(remove).addPositional(types);
  }

  @Override
  public Integer call() throws CniException, IOException {
    if (!Files.isExecutable(Image.launcher())) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          Image.launcher() + " does not exist: this command is not running from its image");
    }
    Path target = directory.getValue();
    List<Path> all = selectedTypes().stream().map(target::resolve).toList();
    Files.createDirectories(target);
    boolean removal = remove.getValue();
    boolean replaces = force.getValue();
    if (!removal && !replaces) {
      requireNoForeignFiles(all);
    }
    for (Path file : all) {
      if (removal) {
        removeLink(file);
      } else {
        link(file);
      }
    }
    return 0;
  }

  private static void requireNoForeignFiles(List<Path> all) throws CniException {
    List<Path> others =
        all.stream()
            .filter(file -> Files.exists(file, LinkOption.NOFOLLOW_LINKS))
            .filter(file -> !Image.isLauncher(file))
            .toList();
    if (!others.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "not replaced without --force, and nothing installed: " + others);
    }
  }

  private List<String> selectedTypes() throws CniException {
    PluginRegistry plugins =
        PluginLocations.configure(Cni.builder().executables()).build().plugins();
    List<String> named = types.getValue();
    if (named.isEmpty()) {
      return plugins.list().stream().map(PluginRegistry.AvailablePlugin::type).distinct().toList();
    }
    for (String type : named) {
      if (plugins.findInProcess(type).isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "this image has no plugin of type " + type + ", nor has a directory of modules");
      }
    }
    return named;
  }

  /** At every moment there is a whole plugin under the name. */
  private static void link(Path link) throws IOException {
    Path unnamed =
        link.resolveSibling(".cni-%08x".formatted(ThreadLocalRandom.current().nextInt()));
    Files.createSymbolicLink(unnamed, Image.launcher());
    try {
      Files.move(unnamed, link, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      Files.deleteIfExists(unnamed);
      throw e;
    }
    System.out.println(link);
  }

  private static void removeLink(Path link) throws IOException {
    if (Files.isSymbolicLink(link) && Image.isLauncher(link)) {
      Files.delete(link);
      System.out.println(link);
    }
  }
}
