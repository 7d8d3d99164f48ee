// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import java.nio.file.Path;
import java.util.Map;

/**
 * What executables inherit if this process works for another one, such as the caller of a daemon:
 * what they would inherit if the caller ran them itself.
 *
 * @param environment the caller's environment
 * @param directory the caller's working directory; if it no longer exists, executables run in that
 *     of this process
 */
public record CallerContext(Map<String, String> environment, Path directory) {
  /** Copies the map. */
  public CallerContext {
    environment = Map.copyOf(environment);
  }
}
