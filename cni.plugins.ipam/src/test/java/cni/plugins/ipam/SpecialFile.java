// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Map;

/** What may be in place of a state file, and is not one. */
public enum SpecialFile {
  DIRECTORY(040000),
  FIFO(010000),
  SOCKET(0140000),
  LINK(0120000);

  private static final int S_IFMT = 0170000;

  private final int type;

  SpecialFile(int type) {
    this.type = type;
  }

  /**
   * Creates a file of this type.
   *
   * @param target what a link points to
   */
  public void create(Path file, Path target) throws IOException, InterruptedException {
    switch (this) {
      case DIRECTORY -> {
        Files.createDirectory(file);
        Files.createFile(file.resolve("content"));
      }
      case FIFO -> assertEquals(0, new ProcessBuilder("mkfifo", file.toString()).start().waitFor());
      case SOCKET -> {
        try (var socket = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
          socket.bind(UnixDomainSocketAddress.of(file));
        }
      }
      case LINK -> Files.createSymbolicLink(file, target);
    }
  }

  /** Whether the file is still there, and of this type. */
  public boolean isAt(Path file) throws IOException {
    Map<String, Object> attributes =
        Files.readAttributes(file, "unix:mode", LinkOption.NOFOLLOW_LINKS);
    return attributes.get("mode") instanceof Integer mode && (mode & S_IFMT) == type;
  }
}
