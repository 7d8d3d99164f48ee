// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A logger that is created at first use. Creating a process's first logger takes about 30 ms, and
 * most processes log nothing.
 */
public final class LazyLogger implements Supplier<System.Logger> {
  private final String name;
  private volatile System.@Nullable Logger logger;

  /**
   * Creates a logger.
   *
   * @param name the name of the module that logs
   */
  public LazyLogger(String name) {
    this.name = name;
  }

  /**
   * Returns the logger. There are no methods for logging here: log records name the class that
   * calls the System.Logger.
   */
  @Override
  public System.Logger get() {
    System.Logger created = logger;
    if (created == null) {
      created = System.getLogger(name);
      logger = created;
    }
    return created;
  }
}
