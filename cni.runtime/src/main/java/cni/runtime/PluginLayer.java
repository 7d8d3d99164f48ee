// SPDX-License-Identifier: Apache-2.0
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
 * Loads the modules of one plugin's directory with a separate class loader. The libraries of a
 * plugin are visible to it alone and do not conflict with those of others. The host shares {@code
 * cni.api} and what that requires transitively; copies of these modules in the directory are
 * ignored.
 *
 * <p>If this library is on the module path the class loader is that of a {@link ModuleLayer}. If it
 * is on the class path, {@code cni.api} is not a module that a layer could require, and a {@link
 * URLClassLoader} is used.
 */
final class PluginLayer {
  private static final String SERVICE = NetworkPlugin.class.getName();

  /** The JDK's message for a module descriptor of a later Java release. */
  private static final Pattern UNSUPPORTED_VERSION =
      Pattern.compile("Unsupported major\\.minor version (\\d+)");

  /** Class files of Java N have the major version N + 44 (JVMS, section 4.1). */
  private static final int CLASS_FILE_VERSION_OFFSET = 44;

  private final Path directory;
  private final List<ModuleReference> modules;

  private PluginLayer(Path directory, List<ModuleReference> modules) {
    this.directory = directory;
    this.modules = modules;
  }

  /** A plugin of the directory, and where it comes from. */
  record LoadedPlugin(IsolatedPlugin plugin, PluginOrigin.Directory origin) {
    PluginRegistry.AvailablePlugin available() {
      return new PluginRegistry.AvailablePlugin(plugin.type(), origin, plugin);
    }
  }

  /**
   * Reads a directory and instantiates the plugins that its modules provide.
   *
   * @param nativeAccess whether they may call native code
   * @throws CniException code 7, for anything that is wrong with the directory or its plugins
   */
  static List<LoadedPlugin> load(Path directory, boolean nativeAccess) throws CniException {
    try {
      Set<String> shared = sharedModules();
      List<ModuleReference> own =
          ModuleFinder.of(directory).findAll().stream()
              .filter(module -> !shared.contains(module.descriptor().name()))
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

  private static CniException broken(String reason, @Nullable Throwable cause) {
    return new CniException(ErrorCode.INVALID_CONFIG, reason, cause);
  }

  /**
   * Returns the messages of an exception and its causes: the outer ones state the place, the inner
   * ones the reason.
   */
  private static String reason(Throwable e) {
    List<String> reasons = new ArrayList<>();
    for (Throwable t = e; t != null; t = t.getCause()) {
      String text = t.getMessage() == null ? t.toString() : t.getMessage();
      Matcher later = UNSUPPORTED_VERSION.matcher(text);
      if (later.find()) {
        int release = Integer.parseInt(later.group(1)) - CLASS_FILE_VERSION_OFFSET;
        text =
            "it is compiled for Java %d, and this is Java %d"
                .formatted(release, Runtime.version().feature());
      }
      // The message of a missing class is its name alone.
      boolean isBareName = t instanceof LinkageError && !text.contains(" ");
      reasons.add(isBareName ? t.toString() : text);
    }
    return String.join(": ", reasons);
  }

  private void requireProvider() throws CniException {
    if (modules.isEmpty()) {
      throw broken("there is no module in it: it must contain the plugin's jars", null);
    }
    if (providers().isEmpty()) {
      throw broken(
          "no module in it provides a plugin; one of %s needs \"provides %s with ...\""
              .formatted(String.join(", ", names()), SERVICE),
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
   * A class that implements a plugin.
   *
   * @param module the module that provides it
   */
  private record Provider(ModuleDescriptor module, String className) {
    String packageName() {
      return className.substring(0, className.lastIndexOf('.'));
    }
  }

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
        host.isNamed()
            ? layerLoader(host.getLayer(), nativeAccess)
            : classPathLoader(directory, modules);
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
    List<LoadedPlugin> loaded = new ArrayList<>();
    Set<String> types = new HashSet<>();
    for (Provider provider : providers()) {
      NetworkPlugin instance =
          IsolatedCall.call(
              provider.className(),
              loader,
              Deadline.after(IsolatedCall.SETUP_TIMEOUT),
              () -> instantiate(loader, provider.className()));
      IsolatedPlugin plugin = IsolatedPlugin.of(instance);
      Names.requirePluginType(plugin.type());
      if (!types.add(plugin.type())) {
        throw broken("it provides type " + plugin.type() + " twice", null);
      }
      String module = provider.module().toNameAndVersion();
      loaded.add(new LoadedPlugin(plugin, new PluginOrigin.Directory(directory, module)));
    }
    return loaded;
  }

  /** Instantiates a class as {@link java.util.ServiceLoader} does, but exactly this one. */
  private static NetworkPlugin instantiate(ClassLoader loader, String name) throws CniException {
    try {
      Class<?> type = Class.forName(name, true, loader);
      return (NetworkPlugin) type.getConstructor().newInstance();
    } catch (ReflectiveOperationException | ClassCastException | LinkageError e) {
      boolean isWrapper =
          e instanceof InvocationTargetException || e instanceof ExceptionInInitializerError;
      Throwable cause = isWrapper && e.getCause() != null ? e.getCause() : e;
      throw broken("plugin " + name + " cannot be created: " + cause, cause);
    }
  }

  @SuppressWarnings("restricted") // enableNativeAccess: the host has granted it
  private ClassLoader layerLoader(ModuleLayer parent, boolean nativeAccess)
      throws CniException, IOException {
    requireDependencies(parent.configuration());
    Configuration configuration =
        parent.configuration().resolve(new FixedModuleFinder(modules), ModuleFinder.of(), names());
    ModuleLayer.Controller controller =
        ModuleLayer.defineModulesWithOneLoader(
            configuration, List.of(parent), NetworkPlugin.class.getClassLoader());
    for (Module module : controller.layer().modules()) {
      if (nativeAccess) {
        controller.enableNativeAccess(module);
      }
      openJar(module);
    }
    // As with ServiceLoader, the provider's package need not be exported.
    for (Provider provider : providers()) {
      Module module = controller.layer().findModule(provider.module().name()).orElseThrow();
      controller.addOpens(module, provider.packageName(), PluginLayer.class.getModule());
    }
    return controller.layer().findLoader(providers().getFirst().module().name());
  }

  /**
   * Makes the class loader open the jar of a module now. It then reads from the open file, even
   * after another version has replaced the directory.
   */
  private static void openJar(Module module) throws IOException {
    InputStream descriptor = module.getResourceAsStream("module-info.class");
    if (descriptor != null) {
      descriptor.close();
    }
  }

  /**
   * Requires that all dependencies exist, with a message more specific than that of module
   * resolution.
   */
  private void requireDependencies(Configuration host) throws CniException {
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
    loader.findResources("module-info.class").hasMoreElements(); // opens all jars, as openJar does
    return loader;
  }

  /**
   * Returns the names of the modules that plugins share with the host: the host's {@code cni.*}
   * modules and what they require transitively. None on the class path, where the parent loader
   * comes first.
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

  /** Finds the given modules and no others. */
  private record FixedModuleFinder(List<ModuleReference> modules) implements ModuleFinder {
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
