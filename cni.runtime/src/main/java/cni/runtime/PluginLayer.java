package cni.runtime;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Names;
import cni.api.NetworkPlugin;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.Configuration;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReference;
import java.lang.module.ResolvedModule;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The modules of one directory with a class loader of their own: what they bring along is seen by
 * nobody else, and does not clash with what others bring. What the host's interface to plugins
 * consists of, {@code cni.api} and what that requires, they share with the host; a copy of it in
 * the directory is not used.
 *
 * <p>In a program on the module path this is a {@link ModuleLayer}; in one on the class path, whose
 * {@code cni.api} is no module that a layer could require, a plain class loader.
 */
final class PluginLayer {
  private static final String SERVICE = NetworkPlugin.class.getName();

  /** What is told of a module descriptor of a later release. */
  private static final Pattern UNSUPPORTED_VERSION =
      Pattern.compile("Unsupported major\\.minor version (\\d+)");

  /** Class files of Java N have the version N + 44. */
  private static final int CLASS_FILE_VERSION_OFFSET = 44;

  private final Path directory;
  private final List<ModuleReference> modules;

  private PluginLayer(Path directory, List<ModuleReference> modules) {
    this.directory = directory;
    this.modules = modules;
  }

  /** A plugin and where it was found. */
  record LoadedPlugin(IsolatedPlugin plugin, PluginOrigin.Directory origin) {
    PluginRegistry.AvailablePlugin available() {
      return new PluginRegistry.AvailablePlugin(plugin.type(), origin, plugin);
    }
  }

  /**
   * Reads the directory and makes the plugins that its modules provide.
   *
   * @param nativeAccess whether they may call native code
   * @throws CniException what is wrong with it, whatever that is
   */
  static List<LoadedPlugin> load(Path directory, boolean nativeAccess) throws CniException {
    try {
      Set<String> hosts = sharedModules();
      List<ModuleReference> own =
          ModuleFinder.of(directory).findAll().stream()
              .filter(module -> !hosts.contains(module.descriptor().name()))
              .sorted(Comparator.comparing(module -> module.descriptor().name()))
              .toList();
      var layer = new PluginLayer(directory, own);
      layer.requireProvider();
      if (!nativeAccess) {
        layer.requireNoNativeAccess();
      }
      return layer.plugins(nativeAccess);
    } catch (IOException | RuntimeException | LinkageError e) {
      throw broken(reason(e), e);
    }
  }

  private static CniException broken(String why, @Nullable Throwable cause) {
    return new CniException(ErrorCode.INVALID_CONFIG, why, cause);
  }

  /** The innermost message says what it is; the others, where. */
  private static String reason(Throwable e) {
    List<String> reasons = new ArrayList<>();
    for (Throwable t = e; t != null; t = t.getCause()) {
      String text = t.getMessage() == null ? t.toString() : t.getMessage();
      Matcher later = UNSUPPORTED_VERSION.matcher(text);
      if (later.find()) {
        text =
            "it is compiled for Java %d, and this is Java %d"
                .formatted(
                    Integer.parseInt(later.group(1)) - CLASS_FILE_VERSION_OFFSET,
                    Runtime.version().feature());
      }
      boolean told = t instanceof LinkageError && !text.contains(" ");
      reasons.add(told ? t.toString() : text); // a missing class's name alone says little
    }
    return String.join(": ", reasons);
  }

  private void requireProvider() throws CniException {
    if (modules.isEmpty()) {
      throw broken("there is no module in it: it must hold the plugin's jars", null);
    }
    if (providers().isEmpty()) {
      throw broken(
          "no module in it provides a plugin; one of %s needs \"provides %s with ...\""
              .formatted(names(), SERVICE),
          null);
    }
  }

  private void requireNoNativeAccess() throws CniException, IOException {
    for (ModuleReference module : modules) {
      Optional<String> use = NativeAccessScan.firstUse(module);
      if (use.isPresent()) {
        throw broken(
            "native access is not granted to it, and in module %s %s; the host grants it by the name"
                    .formatted(module.descriptor().name(), use.get())
                + " of the directory: nativeAccess(\"%s\"), --native-access %s"
                    .formatted(directory.getFileName(), directory.getFileName()),
            null);
      }
    }
  }

  private Set<String> names() {
    return modules.stream()
        .map(module -> module.descriptor().name())
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /**
   * A class that is a plugin.
   *
   * @param module that provides it
   */
  private record Provider(ModuleDescriptor module, String className) {}

  private List<Provider> providers() {
    List<Provider> providers = new ArrayList<>();
    for (ModuleReference module : modules) {
      for (ModuleDescriptor.Provides provides : module.descriptor().provides()) {
        if (provides.service().equals(SERVICE)) {
          provides
              .providers()
              .forEach(name -> providers.add(new Provider(module.descriptor(), name)));
        }
      }
    }
    return providers;
  }

  private List<LoadedPlugin> plugins(boolean nativeAccess) throws CniException, IOException {
    Module host = PluginLayer.class.getModule();
    ClassLoader loader =
        host.isNamed() ? layer(host.getLayer(), nativeAccess) : classPathLoader(directory, modules);
    try {
      return plugins(loader);
    } catch (CniException | RuntimeException | Error e) {
      if (loader instanceof Closeable open) {
        open.close();
      }
      throw e;
    }
  }

  private List<LoadedPlugin> plugins(ClassLoader loader) throws CniException {
    List<LoadedPlugin> found = new ArrayList<>();
    Set<String> types = new HashSet<>();
    for (Provider provider : providers()) {
      NetworkPlugin made =
          IsolatedPlugin.callOnNewThread(
              provider.className(),
              loader,
              Deadline.after(IsolatedPlugin.SETUP_TIMEOUT),
              () -> make(loader, provider.className()));
      IsolatedPlugin plugin = IsolatedPlugin.of(made);
      Names.requirePluginType(plugin.type());
      if (!types.add(plugin.type())) {
        throw broken("it provides type " + plugin.type() + " twice", null);
      }
      String module = provider.module().toNameAndVersion();
      found.add(new LoadedPlugin(plugin, new PluginOrigin.Directory(directory, module)));
    }
    return found;
  }

  /** As ServiceLoader does it, for exactly this class. */
  private static NetworkPlugin make(ClassLoader loader, String name) throws CniException {
    try {
      Class<?> type = Class.forName(name, true, loader);
      return (NetworkPlugin) type.getConstructor().newInstance();
    } catch (ReflectiveOperationException | ClassCastException | LinkageError e) {
      boolean itsOwn =
          e instanceof InvocationTargetException || e instanceof ExceptionInInitializerError;
      Throwable cause = itsOwn && e.getCause() != null ? e.getCause() : e;
      throw broken("plugin " + name + " cannot be made: " + cause, cause);
    }
  }

  @SuppressWarnings("restricted") // it is the host that grants native access
  private ClassLoader layer(ModuleLayer parent, boolean nativeAccess)
      throws CniException, IOException {
    requireModules(parent.configuration());
    Configuration configuration =
        parent.configuration().resolve(new Modules(modules), ModuleFinder.of(), names());
    ModuleLayer.Controller controller =
        ModuleLayer.defineModulesWithOneLoader(
            configuration, List.of(parent), NetworkPlugin.class.getClassLoader());
    for (Module module : controller.layer().modules()) {
      if (nativeAccess) {
        controller.enableNativeAccess(module);
      }
      // Opens the jar, which is read as long as the loader lives, from then on: the directory may
      // be
      // replaced by another at any time.
      InputStream descriptor = module.getResourceAsStream("module-info.class");
      if (descriptor != null) {
        descriptor.close();
      }
    }
    // Its package need not be exported, as ServiceLoader does not ask for that.
    for (Provider provider : providers()) {
      String name = provider.className();
      Module module = controller.layer().findModule(provider.module().name()).orElseThrow();
      controller.addOpens(
          module, name.substring(0, name.lastIndexOf('.')), PluginLayer.class.getModule());
    }
    return controller.layer().findLoader(providers().getFirst().module().name());
  }

  /** What the resolution would tell with fewer words. */
  private void requireModules(Configuration host) throws CniException {
    Set<String> own = names();
    for (ModuleReference module : modules) {
      for (ModuleDescriptor.Requires requires : module.descriptor().requires()) {
        String name = requires.name();
        if (!own.contains(name)
            && host.findModule(name).isEmpty()
            && !requires.modifiers().contains(ModuleDescriptor.Requires.Modifier.STATIC)) {
          boolean inJdk = ModuleFinder.ofSystem().find(name).isPresent();
          throw broken(
              "module %s requires %s, which is neither in the directory nor in the host%s"
                  .formatted(
                      module.descriptor().name(),
                      name,
                      inJdk ? "; start the host with --add-modules " + name : ""),
              null);
        }
      }
    }
  }

  private static ClassLoader classPathLoader(Path directory, List<ModuleReference> modules)
      throws IOException {
    List<URL> jars = new ArrayList<>();
    for (ModuleReference module : modules) {
      jars.add(module.location().orElseThrow().toURL());
    }
    var loader =
        new URLClassLoader(
            "plugin " + directory.getFileName(),
            jars.toArray(URL[]::new),
            NetworkPlugin.class.getClassLoader());
    loader.findResources("module-info.class").hasMoreElements(); // opens them, as above
    return loader;
  }

  /**
   * Those that the host shares with plugins; none on the class path, where the parent comes first.
   */
  private static Set<String> sharedModules() {
    Module runtime = PluginLayer.class.getModule();
    Set<String> shared = new HashSet<>();
    if (runtime.isNamed()) {
      Configuration configuration = runtime.getLayer().configuration();
      for (ResolvedModule module : configuration.modules()) {
        if (module.name().startsWith("cni.")) {
          addWithTransitive(configuration, module.name(), shared);
        }
      }
    }
    return shared;
  }

  private static void addWithTransitive(
      Configuration configuration, String name, Set<String> shared) {
    Optional<ResolvedModule> module = configuration.findModule(name);
    if (module.isPresent() && shared.add(name)) {
      for (ModuleDescriptor.Requires requires : module.get().reference().descriptor().requires()) {
        if (requires.modifiers().contains(ModuleDescriptor.Requires.Modifier.TRANSITIVE)) {
          addWithTransitive(configuration, requires.name(), shared);
        }
      }
    }
  }

  /** A finder of these and no others. */
  private record Modules(List<ModuleReference> modules) implements ModuleFinder {
    @Override
    public Optional<ModuleReference> find(String name) {
      return modules.stream().filter(it -> it.descriptor().name().equals(name)).findFirst();
    }

    @Override
    public Set<ModuleReference> findAll() {
      return Set.copyOf(modules);
    }
  }
}
