// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class SharedFilesTest {
  private static List<String> files(Path directory) throws Exception {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(it -> it.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void onlyTemporaryFilesOfKilledProcessesAreDeleted() throws Exception {
    Configuration unix =
        Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build();
    try (FileSystem jimfs = Jimfs.newFileSystem(unix)) {
      Path directory = jimfs.getPath("/state");
      SharedFiles.deleteLeftovers(directory);
      SharedFiles.write(directory.resolve("n.json"), "1".getBytes(StandardCharsets.UTF_8));
      SharedFiles.write(directory.resolve("n.json"), "2".getBytes(StandardCharsets.UTF_8));
      assertEquals("2", Files.readString(directory.resolve("n.json")));
      Files.createFile(directory.resolve(".n.json.1.1.tmp"));
      Path old = Files.createFile(directory.resolve(".n.json.2.1.tmp"));
      for (Path it : List.of(old, directory.resolve("n.json"))) {
        Files.setLastModifiedTime(it, FileTime.from(Instant.now().minus(Duration.ofHours(2))));
      }
      SharedFiles.deleteLeftovers(directory);
      assertEquals(List.of(".n.json.1.1.tmp", "n.json"), files(directory));
    }
  }
}
