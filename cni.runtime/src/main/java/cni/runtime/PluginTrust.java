// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.NetworkPlugin;
import java.util.Objects;

/**
 * Decides which plugins run on the caller's thread: those of this project, which keep their
 * deadlines and never change the namespace of their caller's thread. All others run as {@link
 * IsolatedPlugin}.
 *
 * <p>On the module path trust follows the identity of the module: it is the very module to which
 * {@code cni.api} exports its internal package. The virtual machine resolves that export when it
 * creates the layer of {@code cni.api}; a module of another layer, such as one that is loaded from
 * a plugin directory, does not get it by having the same name. On the class path there are no
 * modules to distinguish. There a plugin is trusted if it has been loaded by the class loader of
 * {@code cni.api}, as everything that the program was started with, and is in a package of this
 * project.
 */
final class PluginTrust {
  /** Exported to the modules of this project, by {@code module-info.java} of {@code cni.api}. */
  private static final String INTERNAL_PACKAGE = "cni.api.internal";

  private static final String PROJECT_PREFIX = "cni.plugins.";

  private PluginTrust() {}

  /** Returns whether a plugin can run on the caller's thread. */
  static boolean isTrusted(NetworkPlugin plugin) {
    Class<?> type = plugin.getClass();
    Module api = NetworkPlugin.class.getModule();
    if (api.isNamed()) {
      return api.isExported(INTERNAL_PACKAGE, type.getModule());
    }
    return Objects.equals(type.getClassLoader(), NetworkPlugin.class.getClassLoader())
        && type.getPackageName().startsWith(PROJECT_PREFIX);
  }
}
