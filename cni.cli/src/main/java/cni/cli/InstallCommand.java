// SPDX-License-Identifier: Apache-2.0
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
  private final OptionSpec launcher =
      OptionSpec.builder("--launcher")
          .type(Path.class)
          .paramLabel("PATH")
          .description(
              "What the links lead to, if this image has been copied elsewhere; relative to DIR, such"
                  + " as ../image/bin/cni for a directory of another root; default: this image's"
                  + " bin/cni.")
          .build();
  private final OptionSpec force =
      flag(
          "--force",
          "Replace files that are not links to an image of this project; allow a directory that others"
              + " may write to.");
  private final OptionSpec remove =
      flag("--remove", "Remove links to this image, and nothing else.");
  private final PositionalParamSpec types =
      parameters(0, "TYPE").description("Plugin types; default: all plugins of the image.").build();

  InstallCommand() {
    super(
        "Install the image's plugins as executables.",
        "Each is a link to the image, for runtimes such as containerd and Podman. Links to another image of"
            + " this project are replaced, as for an upgrade; other files only with --force.");
    spec()
        .addOption(directory)
        .addOption(launcher)
        .addOption(force)
        .addOption(remove)
        .addPositional(types);
  }

  @Override
  public Integer call() throws CniException, IOException {
    Path target = directory.getValue();
    Path destination = launcher.getValue() == null ? Image.launcher() : launcher.getValue();
    boolean removal = remove.getValue();
    if (!removal && !Files.isExecutable(target.resolve(destination).normalize())) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          target.resolve(destination)
              + " does not exist: this command is not running from its image, or --launcher is wrong");
    }
    List<Path> links = selectedTypes().stream().map(target::resolve).toList();
    if (removal && Files.notExists(target)) {
      return 0;
    }
    if (Files.notExists(target)) {
      AtomicFiles.createDirectories(target.toAbsolutePath(), "rwxr-xr-x");
    }
    if (!removal && !force.<Boolean>getValue()) {
      requireTrusted(target);
      requireNoForeignFiles(links);
    }
    for (Path file : links) {
      if (removal) {
        removeLink(file, target.resolve(destination));
      } else {
        link(file, destination);
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
            .filter(file -> !isLinkToAnImage(file))
            .toList();
    if (!others.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "nothing installed: these files are not links to an image of this project, use --force to"
              + " replace them: "
              + others.stream().map(Path::toString).collect(Collectors.joining(", ")));
    }
  }

  /** Returns whether a file is a link to a launcher, which may have been removed. */
  private static boolean isLinkToAnImage(Path file) {
    try {
      if (!Files.isSymbolicLink(file)) {
        return false;
      }
      Path target = file.resolveSibling(Files.readSymbolicLink(file));
      Path script = target.resolveSibling("cni-jvm");
      return target.endsWith("bin/cni") && (Files.notExists(target) || Files.exists(script));
    } catch (IOException e) {
      return false;
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
  private static void link(Path link, Path destination) throws IOException {
    Path temporary =
        link.resolveSibling(".cni-%08x".formatted(ThreadLocalRandom.current().nextInt()));
    Files.createSymbolicLink(temporary, destination);
    try {
      Files.move(temporary, link, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      Files.deleteIfExists(temporary);
      throw e;
    }
    System.out.println(link);
  }

  private static void removeLink(Path link, Path destination) throws IOException {
    if (Files.isSymbolicLink(link) && Image.isSameFile(link, destination)) {
      Files.delete(link);
      System.out.println(link);
    }
  }
}
