package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.AtomicFiles;
import cni.api.internal.FileOwnership;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni install}. */
final class InstallCommand extends Subcommand {
  private final OptionSpec directory =
      OptionSpec.builder("--dir")
          .type(Path.class)
          .required(true)
          .paramLabel("DIR")
          .description("Directory for the links, such as /opt/cni/bin; created if missing.")
          .build();
  private final OptionSpec force =
      flag(
          "--force",
          "Replace files that are not links to this image; allow a directory that others may write to.");
  private final OptionSpec remove =
      flag("--remove", "Remove links to this image, and nothing else.");
  private final PositionalParamSpec types =
      parameters(0, "TYPE").description("Plugin types; default: all plugins of the image.").build();

  InstallCommand() {
    super(
        "Install the image's plugins as executables.",
        "Each is a link to the image, for runtimes such as containerd and Podman. Files that are not links"
            + " to this image are replaced only with --force.");
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
    List<Path> links = selectedTypes().stream().map(target::resolve).toList();
    boolean removal = remove.getValue();
    if (removal && Files.notExists(target)) {
      return 0;
    }
    AtomicFiles.createDirectories(target.toAbsolutePath(), "rwxr-xr-x");
    if (!removal && !force.<Boolean>getValue()) {
      requireTrusted(target);
      requireNoForeignFiles(links);
    }
    for (Path file : links) {
      if (removal) {
        removeLink(file);
      } else {
        link(file);
      }
    }
    return 0;
  }

  /** Runtimes run as root what is in the directory. */
  private static void requireTrusted(Path directory) throws CniException, IOException {
    Optional<String> objection = FileOwnership.objectionToPath(directory);
    if (objection.isPresent()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "nothing installed: "
              + objection.get()
              + ", who could replace plugins that run as root; correct that, or use --force");
    }
  }

  private static void requireNoForeignFiles(List<Path> links) throws CniException {
    List<Path> others =
        links.stream()
            .filter(file -> Files.exists(file, LinkOption.NOFOLLOW_LINKS))
            .filter(file -> !Image.isLauncher(file))
            .toList();
    if (!others.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "nothing installed: these files are not links to this image, use --force to replace them: "
              + others.stream().map(Path::toString).collect(Collectors.joining(", ")));
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
            "neither this image nor a module directory has a plugin of type " + type);
      }
    }
    return named;
  }

  /** Creates or replaces a link atomically, so that a runtime never finds the plugin missing. */
  private static void link(Path link) throws IOException {
    Path temporary =
        link.resolveSibling(".cni-%08x".formatted(ThreadLocalRandom.current().nextInt()));
    Files.createSymbolicLink(temporary, Image.launcher());
    try {
      Files.move(temporary, link, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      Files.deleteIfExists(temporary);
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
