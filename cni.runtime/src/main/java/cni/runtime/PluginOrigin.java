package cni.runtime;

import java.nio.file.Path;

/** Where a plugin comes from. Its text is for people. */
public sealed interface PluginOrigin {
  /** What kind of place that is. */
  PluginSource source();

  /**
   * The program itself.
   *
   * @param module the module's name, or the package's for one on the class path
   */
  record BuiltIn(String module) implements PluginOrigin {
    static BuiltIn of(Object plugin) {
      Module module = plugin.getClass().getModule();
      return new BuiltIn(module.isNamed() ? module.getName() : plugin.getClass().getPackageName());
    }

    @Override
    public PluginSource source() {
      return PluginSource.BUILT_IN;
    }

    @Override
    public String toString() {
      return "module " + module;
    }
  }

  /**
   * A directory of modules, which are read together and apart from all others.
   *
   * @param path the directory
   * @param module the module that provides the plugin, with its version if it has one: {@code
   *     com.example.vxlan@1.2}
   */
  record Directory(Path path, String module) implements PluginOrigin {
    @Override
    public PluginSource source() {
      return PluginSource.DIRECTORY;
    }

    @Override
    public String toString() {
      return "module " + module + " in " + path;
    }
  }

  /**
   * An executable.
   *
   * @param file that is run
   */
  record Executable(Path file) implements PluginOrigin {
    @Override
    public PluginSource source() {
      return PluginSource.EXECUTABLE;
    }

    @Override
    public String toString() {
      return file.toString();
    }
  }
}
