package cni.runtime;

import cni.api.CniException;
import cni.api.PluginHost;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import java.io.IOException;
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
 * Directories of plugins: each directory below one of them holds the modules of one plugin.
 *
 * <p>They are looked at, which takes a call of stat(2) for each, whenever a plugin of theirs is
 * wanted, and a plugin's directory is read again when it is another one or has changed. Calls that
 * are under way end with the plugin that they began with. A directory that is no plugin is told of,
 * and the one before stays in its place, if there was one.
 */
final class PluginDirectories {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final List<Path> roots;
  private final Set<String> nativeAccess;
  private volatile Snapshot snapshot;

  /** What plugins with work between calls are started with; guarded by this. */
  private Optional<PluginHost> host = Optional.empty();

  /**
   * Reads nothing yet.
   *
   * @param roots the directories, in order of precedence; they need not exist
   * @param nativeAccess the names of the plugins' directories that may call native code
   */
  PluginDirectories(List<Path> roots, Set<String> nativeAccess) {
    this.roots = List.copyOf(roots);
    this.nativeAccess = Set.copyOf(nativeAccess);
    this.snapshot = Snapshot.nothing();
  }

  List<Path> roots() {
    return roots;
  }

  /** What serves a type now. */
  Optional<PluginRegistry.AvailablePlugin> find(String type) {
    return Optional.ofNullable(current().byType().get(type))
        .map(PluginLayer.LoadedPlugin::available);
  }

  /** All that can be had, in order of precedence. */
  List<PluginRegistry.AvailablePlugin> list() {
    return current().found().stream().map(PluginLayer.LoadedPlugin::available).toList();
  }

  /** What cannot be had, and why. */
  List<PluginRegistry.DisabledPlugin> disabled() {
    return current().disabled();
  }

  /** Has plugins that have work between calls begin with it, those to come included. */
  synchronized void start(PluginHost newHost) {
    List<PluginLayer.LoadedPlugin> there = current().found();
    host = Optional.of(newHost); // from now on, those that come are started when they do
    there.forEach(this::start);
  }

  /** Ends that work. */
  synchronized void stop() {
    host = Optional.empty();
    Snapshot last = snapshot;
    snapshot = Snapshot.nothing();
    last.found().forEach(found -> found.plugin().retire());
  }

  private void start(PluginLayer.LoadedPlugin found) {
    host.ifPresent(it -> PluginRegistry.start(found.plugin(), it));
  }

  private Snapshot current() {
    Snapshot known = snapshot;
    if (known.isCurrent(roots)) {
      return known;
    }
    synchronized (this) {
      if (!snapshot.isCurrent(roots)) {
        // Otherwise an interrupt of whoever wants a plugin would make it look broken.
        replace(Uninterruptibly.get("cni plugin directories", () -> read(snapshot)));
      }
      return snapshot;
    }
  }

  private void replace(Snapshot now) {
    Snapshot before = snapshot;
    snapshot = now;
    Set<PluginLayer.LoadedPlugin> kept = new HashSet<>(now.found());
    Set<PluginLayer.LoadedPlugin> known = new HashSet<>(before.found());
    before.found().stream().filter(it -> !kept.contains(it)).forEach(PluginDirectories::retire);
    now.found().stream().filter(it -> !known.contains(it)).forEach(this::start);
    Set<PluginRegistry.DisabledPlugin> told = new HashSet<>(before.disabled());
    for (PluginRegistry.DisabledPlugin it : now.disabled()) {
      if (told.add(it)) {
        LOG.get().log(System.Logger.Level.WARNING, it.toString());
      }
    }
  }

  /** Nobody waits for what a plugin does at its end. */
  private static void retire(PluginLayer.LoadedPlugin found) {
    IsolatedPlugin plugin = found.plugin();
    Thread.ofPlatform().daemon().name("cni " + plugin.type() + " ends").start(plugin::retire);
  }

  private Snapshot read(Snapshot before) {
    Map<Path, Stamp> stamps = new HashMap<>();
    Map<Path, Contents> contents = new LinkedHashMap<>();
    for (Path root : roots) {
      stamps.put(root, Stamp.of(root)); // before it is listed, so that a change is seen next time
      for (Path directory : directories(root)) {
        Stamp stamp = Stamp.of(directory);
        Contents known = before.contents().get(directory);
        contents.put(
            directory,
            known != null && known.stamp().equals(stamp) ? known : read(directory, stamp, known));
      }
    }
    return Snapshot.of(stamps, contents);
  }

  /** Those of plugins; what begins with a dot is on its way to become one. */
  private static List<Path> directories(Path root) {
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

  private Contents read(Path directory, Stamp stamp, @Nullable Contents before) {
    try {
      boolean mayUseNative = nativeAccess.contains(directory.getFileName().toString());
      List<PluginLayer.LoadedPlugin> found = PluginLayer.load(directory, mayUseNative);
      Stamp after = Stamp.of(directory);
      // Replaced while it was read: it may be something of both.
      return after.equals(stamp)
          ? new Contents(stamp, found, Optional.empty())
          : read(directory, after, before);
    } catch (CniException e) {
      List<PluginLayer.LoadedPlugin> instead = before == null ? List.of() : before.found();
      String then = instead.isEmpty() ? "" : "; the version before it stays in its place";
      return new Contents(stamp, instead, Optional.of(e.getMessage() + then));
    }
  }

  /**
   * What tells a directory from the one that was there before.
   *
   * @param key device and inode
   * @param changed when something was last added to it or removed
   */
  private record Stamp(@Nullable Object key, FileTime changed) {
    private static final Stamp NONE = new Stamp(null, FileTime.fromMillis(0));

    static Stamp of(Path directory) {
      try {
        var attributes = Files.readAttributes(directory, BasicFileAttributes.class);
        return new Stamp(attributes.fileKey(), attributes.lastModifiedTime());
      } catch (IOException e) {
        return NONE;
      }
    }

    /** A record's own methods are spun when first used, which takes a process some 10 ms. */
    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Stamp it && Objects.equals(key, it.key) && changed.equals(it.changed);
    }

    @Override
    public int hashCode() {
      return changed.hashCode();
    }
  }

  /**
   * What a directory was found to hold.
   *
   * @param failure why it cannot be used as it is
   */
  private record Contents(
      Stamp stamp, List<PluginLayer.LoadedPlugin> found, Optional<String> failure) {}

  /**
   * What all of them hold.
   *
   * @param stamps of the roots
   * @param found what can be had, in order of precedence, a type perhaps more than once
   * @param byType the first of each type
   */
  private record Snapshot(
      Map<Path, Stamp> stamps,
      Map<Path, Contents> contents,
      List<PluginLayer.LoadedPlugin> found,
      Map<String, PluginLayer.LoadedPlugin> byType,
      List<PluginRegistry.DisabledPlugin> disabled) {
    static Snapshot nothing() {
      return new Snapshot(Map.of(), Map.of(), List.of(), Map.of(), List.of());
    }

    static Snapshot of(Map<Path, Stamp> stamps, Map<Path, Contents> contents) {
      List<PluginLayer.LoadedPlugin> found = new ArrayList<>();
      Map<String, PluginLayer.LoadedPlugin> byType = new HashMap<>();
      List<PluginRegistry.DisabledPlugin> disabled = new ArrayList<>();
      contents.forEach(
          (directory, it) -> {
            String name = directory.getFileName().toString();
            it.failure()
                .ifPresent(
                    why ->
                        disabled.add(
                            new PluginRegistry.DisabledPlugin(name, directory.toString(), why)));
            for (PluginLayer.LoadedPlugin plugin : it.found()) {
              String type = plugin.plugin().type();
              PluginLayer.LoadedPlugin first = byType.putIfAbsent(type, plugin);
              if (first != null && sameRoot(first, plugin)) {
                disabled.add(
                    new PluginRegistry.DisabledPlugin(
                        type,
                        directory.toString(),
                        "type " + type + " is already provided by " + first.origin()));
              } else {
                found.add(plugin);
              }
            }
          });
      return new Snapshot(stamps, contents, found, byType, disabled);
    }

    private static boolean sameRoot(PluginLayer.LoadedPlugin a, PluginLayer.LoadedPlugin b) {
      Path parent = a.origin().path().getParent();
      return parent != null && parent.equals(b.origin().path().getParent());
    }

    boolean isCurrent(List<Path> roots) {
      for (Path root : roots) {
        if (!Stamp.of(root).equals(stamps.getOrDefault(root, Stamp.NONE))) {
          return false;
        }
      }
      for (Map.Entry<Path, Contents> it : contents.entrySet()) {
        if (!Stamp.of(it.getKey()).equals(it.getValue().stamp())) {
          return false;
        }
      }
      return true;
    }
  }
}
