// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;

/** Where a plugin comes from. The text form is for display. */
public sealed interface PluginOrigin {
  /** Returns the kind of place. */
  PluginSource source();

  /**
   * A module of the program itself.
   *
   * @param module the name of the module, or of the package for a plugin on the class path
   */
  record BuiltIn(String module) implements PluginOrigin {
    /** Checks that no argument is null. */
    public BuiltIn {
      requireNonNull(module, "module");
    }

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
   * A plugin's directory below a plugin directory, whose modules have a separate class loader.
   *
   * @param path the plugin's directory
   * @param module the module that provides the plugin, with its version if it has one: {@code
   *     com.example.vxlan@1.2}
   */
  record Directory(Path path, String module) implements PluginOrigin {
    /** Checks that no argument is null. */
    public Directory {
      requireNonNull(path, "path");
      requireNonNull(module, "module");
    }

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
   * @param file the file that is run
   */
  record Executable(Path file) implements PluginOrigin {
    /** Checks that no argument is null. */
    public Executable {
      requireNonNull(file, "file");
    }

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
