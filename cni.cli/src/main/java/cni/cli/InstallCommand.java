package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.runtime.Cni;
import cni.runtime.Plugins;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code cni install}. */
@Command(
    name = "install",
    mixinStandardHelpOptions = true,
    description = {
      "Puts the plugins of this image into a directory of plugin executables, each a link to the"
          + " image: for runtimes that know nothing of Java.",
      "A file of somebody else is only replaced with --force."
    })
final class InstallCommand implements Callable<Integer> {
  @Option(
      names = "--dir",
      required = true,
      paramLabel = "DIR",
      description = "The directory, such as /opt/cni/bin; made if it is not there.")
  private Path directory = Path.of("");

  @Option(names = "--force", description = "Replace files that are not links to this image.")
  private boolean force;

  @Option(names = "--remove", description = "Remove the links again, and nothing else.")
  private boolean remove;

  @Parameters(
      arity = "0..*",
      paramLabel = "TYPE",
      description = "The plugins; by default all that the image has.")
  private List<String> types = List.of();

  @Override
  public Integer call() throws CniException, IOException {
    if (!Files.isExecutable(Image.launcher())) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          Image.launcher() + " does not exist: this command is not running from its image");
    }
    List<String> all = chosen();
    Files.createDirectories(directory);
    if (!remove) {
      requireNobodysElse(all);
    }
    for (String type : all) {
      if (remove) {
        removeLink(directory.resolve(type));
      } else {
        link(directory.resolve(type));
      }
    }
    return 0;
  }

  private void requireNobodysElse(List<String> all) throws CniException {
    List<Path> others =
        all.stream()
            .map(directory::resolve)
            .filter(file -> Files.exists(file, LinkOption.NOFOLLOW_LINKS))
            .filter(file -> !Image.isLauncher(file))
            .toList();
    if (!force && !others.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "not replaced without --force, and nothing installed: " + others);
    }
  }

  private List<String> chosen() throws CniException {
    Plugins plugins = PluginPlaces.addTo(Cni.builder().executables()).build().plugins();
    if (types.isEmpty()) {
      return plugins.list().stream().map(Plugins.Available::type).distinct().toList();
    }
    for (String type : types) {
      if (plugins.module(type).isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "this image has no plugin of type " + type + ", nor has a directory of modules");
      }
    }
    return types;
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
