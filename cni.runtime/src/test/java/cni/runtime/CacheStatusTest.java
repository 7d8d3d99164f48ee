// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.CniException;
import cni.api.NetworkConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** STATUS says no where the result of an ADD could not be stored. */
class CacheStatusTest {
  @TempDir private Path directory;

  private static Network network(Path cache) throws CniException {
    String config =
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"plugins\": [{ \"type\": \"first\" }] }";
    return Cni.builder()
        .cache(cache)
        .executables()
        .pluginDirectories()
        .oneShot()
        .build()
        .network(NetworkConfig.parse(config.getBytes(UTF_8), "test"));
  }

  @Test
  void writableCacheIsReadyAndNothingIsCreated() throws Exception {
    Path cache = directory.resolve("cache");
    network(cache).status();
    assertEquals(List.of(directory), tree());
    Files.createDirectory(cache);
    network(cache).status();
    assertEquals(List.of(directory, cache), tree());
  }

  private List<Path> tree() throws IOException {
    try (Stream<Path> all = Files.walk(directory)) {
      return all.toList();
    }
  }

  @Test
  void cacheThatCannotBeCreatedIsNotAvailable() throws Exception {
    Path file = Files.createFile(directory.resolve("file"));
    CniException e =
        assertThrows(CniException.class, () -> network(file.resolve("cache")).status());
    assertEquals(50, e.code());
    assertTrue(
        e.getMessage().startsWith("results of network n cannot be stored: " + file), e::getMessage);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {"ro|read-only file system", "size=4k|no space left on device", "size=64k|ready"})
  void fullAndReadOnlyFileSystemsAreNotAvailable(String mountOptions, String answer)
      throws Exception {
    assumeTrue((Integer) Files.getAttribute(Path.of("/proc/self/"), "unix:uid") == 0, "not root");
    String script =
        """
        mount -t tmpfs -o "$1" cni-test "$2" || exit
        head -c 4096 /dev/zero >"$2/used" 2>/dev/null
        exec java -cp "$3" "$4" "$2"
        """;
    Process process =
        new ProcessBuilder(
                "unshare",
                "--mount",
                "sh",
                "-c",
                script.replace("java", ProcessHandle.current().info().command().orElseThrow()),
                "sh",
                mountOptions,
                directory.toString(),
                System.getProperty("java.class.path"),
                CacheStatusTest.class.getName())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    String printed = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, process.waitFor(), printed);
    assertTrue(printed.toLowerCase(java.util.Locale.ROOT).contains(answer), printed);
  }

  /** Prints the status with a cache in the directory that is the first argument. */
  public static void main(String[] args) throws IOException {
    try {
      network(Path.of(args[0])).status();
      System.out.println("ready");
    } catch (CniException e) {
      System.out.println(e.code() + " " + e.getMessage());
    }
  }
}
