// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.PluginHost;
import cni.api.internal.FileOwnership;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.Uninterruptibly;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The plugins in plugin directories (the roots): each subdirectory of a root holds the modules of
 * one plugin.
 *
 * <p>Plugins can be added, replaced and removed while the program runs. At each lookup, stat(2) of
 * each directory shows whether it was replaced or changed since it was last read, its mode and
 * owner included; if so, it is read again. Calls that are under way end with the version that they
 * started with. If a directory cannot be loaded, that is logged once, and its previous version, if
 * there is one, remains in use.
 *
 * <p>A plugin has all privileges of this process. One that another user may replace is not loaded;
 * this is decided when its directory is read, before any of its files.
 */
final class PluginDirectories {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final List<Path> roots;
  private final Set<String> nativeAccess;
  private final boolean allowUntrusted;
  private volatile Snapshot snapshot;

  /** The host that resident plugins are started with; absent until start; guarded by this. */
  private Optional<PluginHost> host = Optional.empty();

  /**
   * Creates the registry; nothing is read yet.
   *
   * @param roots the directories, in order of precedence; they need not exist
   * @param nativeAccess the names of the subdirectories whose plugins may call native code
   * @param allowUntrusted whether plugins are loaded that users other than root and this process's
   *     may replace
   */
  PluginDirectories(List<Path> roots, Set<String> nativeAccess, boolean allowUntrusted) {
    this.roots = List.copyOf(roots);
    this.allowUntrusted = allowUntrusted;
    this.nativeAccess = Set.copyOf(nativeAccess);
    this.snapshot = Snapshot.empty();
  }

  List<Path> roots() {
    return roots;
  }

  /** Returns the plugin that serves a type now; absent if there is none. */
  Optional<PluginRegistry.AvailablePlugin> find(String type) {
    return Optional.ofNullable(current().byType().get(type))
        .map(PluginLayer.LoadedPlugin::available);
  }

  /** Returns all plugins that can be used, in order of precedence. */
  List<PluginRegistry.AvailablePlugin> list() {
    return current().plugins().stream().map(PluginLayer.LoadedPlugin::available).toList();
  }

  /** Returns the plugins that cannot be used. */
  List<PluginRegistry.DisabledPlugin> disabled() {
    return current().disabled();
  }

  /** Returns whether the other one loads the same plugins with the same rights. */
  boolean isEquivalentTo(PluginDirectories other) {
    return roots.equals(other.roots)
        && nativeAccess.equals(other.nativeAccess)
        && allowUntrusted == other.allowUntrusted;
  }

  /** Starts resident plugins, and from now on those that are added later. */
  synchronized void start(PluginHost newHost) {
    List<PluginLayer.LoadedPlugin> present = current().plugins();
    host = Optional.of(newHost); // only now, so that reading them above has not started them
    present.forEach(this::start);
  }

  /** Stops resident plugins and forgets all plugins. */
  synchronized void stop() {
    host = Optional.empty();
    Snapshot last = snapshot;
    snapshot = Snapshot.empty();
    last.plugins().forEach(loaded -> loaded.plugin().retire());
  }

  private void start(PluginLayer.LoadedPlugin loaded) {
    host.ifPresent(it -> PluginRegistry.start(loaded.plugin(), it));
  }

  private Snapshot current() {
    Snapshot known = snapshot;
    if (known.isCurrent(roots)) {
      return known;
    }
    synchronized (this) {
      if (!snapshot.isCurrent(roots)) {
        // An interrupt of the caller would otherwise make the plugin look broken to all.
        replace(Uninterruptibly.get("cni plugin directories", () -> read(snapshot)));
      }
      return snapshot;
    }
  }

  private void replace(Snapshot current) {
    Snapshot previous = snapshot;
    snapshot = current;
    Set<PluginLayer.LoadedPlugin> kept = new HashSet<>(current.plugins());
    Set<PluginLayer.LoadedPlugin> known = new HashSet<>(previous.plugins());
    previous.plugins().stream().filter(it -> !kept.contains(it)).forEach(PluginDirectories::retire);
    current.plugins().stream().filter(it -> !known.contains(it)).forEach(this::start);
    Set<PluginRegistry.DisabledPlugin> logged = new HashSet<>(previous.disabled());
    for (PluginRegistry.DisabledPlugin it : current.disabled()) {
      if (logged.add(it)) {
        LOG.get().log(System.Logger.Level.WARNING, it.toString());
      }
    }
  }

  /** Retires a plugin on a separate thread, because stopping it may take seconds. */
  private static void retire(PluginLayer.LoadedPlugin loaded) {
    IsolatedPlugin plugin = loaded.plugin();
    Thread.ofPlatform().daemon().name("cni " + plugin.type() + " ends").start(plugin::retire);
  }

  private Snapshot read(Snapshot previous) {
    Map<Path, Stamp> stamps = new HashMap<>();
    Map<Path, Contents> contents = new LinkedHashMap<>();
    for (Path root : roots) {
      // The stamp is taken before the root is listed: a change meanwhile is then seen next time.
      stamps.put(root, Stamp.of(root));
      for (Path directory : subdirectories(root)) {
        Stamp stamp = Stamp.of(directory);
        Contents known = previous.contents().get(directory);
        contents.put(
            directory,
            known != null && known.isValidAt(stamp) ? known : read(directory, stamp, known));
      }
    }
    return Snapshot.of(stamps, contents);
  }

  /**
   * Returns the directories of plugins; a name that starts with a dot is that of one being
   * installed.
   */
  private static List<Path> subdirectories(Path root) {
    try (Stream<Path> all = Files.list(root)) {
      return all.filter(it -> !it.getFileName().toString().startsWith("."))
          .filter(Files::isDirectory)
          .sorted()
          .toList();
    } catch (NoSuchFileException | NotDirectoryException e) {
      return List.of();
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "plugin directory " + root + " cannot be read: " + IoErrors.reason(e));
      return List.of();
    }
  }

  /**
   * Reads the directory of a plugin, and again if it was replaced meanwhile: the content, or the
   * failure to read it, may come from a mixture of both versions.
   */
  private Contents read(Path directory, Stamp stamp, @Nullable Contents previous) {
    Contents contents = load(directory, stamp, previous);
    Stamp after = Stamp.of(directory);
    return after.equals(stamp) ? contents : read(directory, after, previous);
  }

  private Contents load(Path directory, Stamp stamp, @Nullable Contents previous) {
    try {
      Optional<String> refusal = allowUntrusted ? Optional.empty() : reasonToRefuse(directory);
      if (refusal.isPresent()) {
        return Contents.failed(stamp, previous, refusal.get(), refusal);
      }
      boolean mayUseNative = nativeAccess.contains(directory.getFileName().toString());
      List<PluginLayer.LoadedPlugin> plugins = PluginLayer.load(directory, mayUseNative);
      return new Contents(stamp, plugins, Optional.empty(), Optional.empty());
    } catch (CniException e) {
      return Contents.failed(stamp, previous, e.getMessage(), Optional.empty());
    }
  }

  /**
   * Returns why a plugin is not trusted: users other than root and this process's may change its
   * files, their directory or the directories above, or that cannot be decided. Absent if they may
   * not.
   */
  private static Optional<String> reasonToRefuse(Path directory) {
    Optional<String> objection;
    try {
      objection = FileOwnership.objectionToPath(Objects.requireNonNull(directory.getParent()));
      if (objection.isEmpty()) {
        objection = FileOwnership.objectionToPath(directory); // it may be a link to elsewhere
      }
      if (objection.isEmpty()) {
        objection = objectionToFiles(directory.toRealPath());
      }
    } catch (IOException e) {
      return Optional.of(IoErrors.describe(e));
    }
    return objection.map(
        it ->
            it
                + ": others could replace the plugin; make it root's, with mode 0755, or allow it:"
                + " allowUntrustedPlugins(), --allow-untrusted-plugins");
  }

  private static Optional<String> objectionToFiles(Path directory) throws IOException {
    try (Stream<Path> all = Files.walk(directory)) {
      for (Path file : (Iterable<Path>) all::iterator) {
        Optional<String> objection =
            Files.isSymbolicLink(file)
                ? FileOwnership.objectionToPath(file)
                : FileOwnership.objection(file);
        if (objection.isPresent()) {
          return objection;
        }
      }
      return Optional.empty();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /**
   * Identifies the version of a directory: differs after the directory was replaced or changed.
   *
   * @param key device and inode
   * @param changed when an entry of it was last added or removed, or its mode or owner changed
   */
  private record Stamp(@Nullable Object key, FileTime changed) {
    private static final Stamp NONE = new Stamp(null, FileTime.fromMillis(0));

    static Stamp of(Path directory) {
      try {
        if (directory.getFileSystem().supportedFileAttributeViews().contains("unix")) {
          Map<String, Object> unix = Files.readAttributes(directory, "unix:fileKey,ctime");
          return new Stamp(
              unix.get("fileKey"), (FileTime) Objects.requireNonNull(unix.get("ctime")));
        }
        var basic = Files.readAttributes(directory, BasicFileAttributes.class);
        return new Stamp(basic.fileKey(), basic.lastModifiedTime());
      } catch (IOException e) {
        return NONE;
      }
    }
  }

  /**
   * What was read from the directory of a plugin.
   *
   * @param stamp the directory's stamp when it was read
   * @param plugins its plugins, or those of its earlier version
   * @param failure why it cannot be used as it is; absent if it can
   * @param refusal why it is not trusted; absent if it is, or if that does not matter
   */
  private record Contents(
      Stamp stamp,
      List<PluginLayer.LoadedPlugin> plugins,
      Optional<String> failure,
      Optional<String> refusal) {
    /** Returns the contents of a directory that cannot be used, with the previous plugins. */
    static Contents failed(
        Stamp stamp, @Nullable Contents previous, String reason, Optional<String> refusal) {
      List<PluginLayer.LoadedPlugin> instead = previous == null ? List.of() : previous.plugins();
      String then = instead.isEmpty() ? "" : "; the previous version remains in use";
      return new Contents(stamp, instead, Optional.of(reason + then), refusal);
    }

    /**
     * Returns whether the directory is as it was read. One that was refused is examined again: the
     * mode and owner of a file in it, or of a directory above, do not change its stamp.
     */
    boolean isCurrent(Path directory) {
      return Stamp.of(directory).equals(stamp)
          && (refusal.isEmpty() || refusal.equals(reasonToRefuse(directory)));
    }

    /** Returns false after a failure too: its cause may be outside of the directory. */
    boolean isValidAt(Stamp now) {
      return stamp.equals(now) && failure.isEmpty();
    }
  }

  /**
   * What was read from all roots.
   *
   * @param stamps the stamps of the roots
   * @param contents what each plugin's directory holds
   * @param plugins the plugins in order of precedence; several roots may provide the same type
   * @param byType the first plugin of each type
   * @param disabled the plugins that cannot be used
   */
  private record Snapshot(
      Map<Path, Stamp> stamps,
      Map<Path, Contents> contents,
      List<PluginLayer.LoadedPlugin> plugins,
      Map<String, PluginLayer.LoadedPlugin> byType,
      List<PluginRegistry.DisabledPlugin> disabled) {
    static Snapshot empty() {
      return new Snapshot(Map.of(), Map.of(), List.of(), Map.of(), List.of());
    }

    static Snapshot of(Map<Path, Stamp> stamps, Map<Path, Contents> contents) {
      var snapshot =
          new Snapshot(stamps, contents, new ArrayList<>(), new HashMap<>(), new ArrayList<>());
      contents.forEach(snapshot::add);
      return snapshot;
    }

    private void add(Path directory, Contents contents) {
      String name = directory.getFileName().toString();
      contents.failure().ifPresent(reason -> disable(name, directory, reason));
      for (PluginLayer.LoadedPlugin plugin : contents.plugins()) {
        String type = plugin.plugin().type();
        PluginLayer.LoadedPlugin first = byType.putIfAbsent(type, plugin);
        if (first != null && isSameRoot(first, plugin)) {
          disable(type, directory, "type " + type + " is already provided by " + first.origin());
        } else {
          plugins.add(plugin);
        }
      }
    }

    private void disable(String name, Path directory, String reason) {
      disabled.add(new PluginRegistry.DisabledPlugin(name, directory.toString(), reason));
    }

    private static boolean isSameRoot(PluginLayer.LoadedPlugin a, PluginLayer.LoadedPlugin b) {
      Path parent = a.origin().path().getParent();
      return parent != null && parent.equals(b.origin().path().getParent());
    }

    /** Returns whether no root and no plugin's directory has changed since it was read. */
    boolean isCurrent(List<Path> roots) {
      for (Path root : roots) {
        if (!Stamp.of(root).equals(stamps.getOrDefault(root, Stamp.NONE))) {
          return false;
        }
      }
      for (Map.Entry<Path, Contents> it : contents.entrySet()) {
        if (!it.getValue().isCurrent(it.getKey())) {
          return false;
        }
      }
      return true;
    }
  }
}
