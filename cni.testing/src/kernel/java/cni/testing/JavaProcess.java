// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A process that runs a main class of the tests, on the class path of this process. */
public final class JavaProcess {
  private JavaProcess() {}

  /**
   * Returns the command that starts the process, as for {@link ProcessBuilder}. Its JVM compiles
   * with C1 only, which takes the least time to start.
   *
   * @param main a class with a main method
   */
  public static List<String> command(Class<?> main, String... arguments) {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                // An empty element is the working directory.
                System.getProperty("java.class.path", "").replace("::", File.pathSeparator),
                main.getName()));
    command.addAll(List.of(arguments));
    return List.copyOf(command);
  }
}
