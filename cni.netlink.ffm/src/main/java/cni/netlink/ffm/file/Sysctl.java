// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.file;

import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/**
 * Kernel parameters, sysctl(8). Those below {@code net} belong to the network namespace of the
 * calling thread: for another namespace use this inside {@link NetNs#call}.
 *
 * <p>A key is the path below /proc/sys, with slashes, since an interface's name may contain dots:
 * {@code net/ipv4/conf/eth0.5/arp_notify}.
 *
 * @param root /proc/sys, or a directory that replaces it in a test
 */
public record Sysctl(Path root) {
  /** Bytes; nearly every value is shorter. */
  private static final int TYPICAL_LENGTH = 256;

  /** Bytes; the longest values, lists of ports, are shorter. */
  private static final int MAX_LENGTH = 1 << 20;

  /** The parameters of the running kernel. */
  public static final Sysctl KERNEL = new Sysctl(Path.of("/proc/sys"));

  /**
   * Returns the value of a parameter, without surrounding white space.
   *
   * @throws NoSuchFileException if there is no such parameter
   * @throws IOException if it cannot be read
   * @throws IllegalArgumentException if the key leads out of the root
   */
  public String get(String key) throws IOException {
    // In one read: the kernel returns a number only to a read at offset 0 (proc_dointvec), so after
    // the read of a single byte that Files.readString starts with, the other digits are lost.
    String value = read(file(key), TYPICAL_LENGTH);
    return value.length() < TYPICAL_LENGTH ? value.strip() : read(file(key), MAX_LENGTH).strip();
  }

  private static String read(Path file, int limit) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] value = new byte[limit];
      int length = in.read(value);
      return length < 0 ? "" : new String(value, 0, length, StandardCharsets.UTF_8);
    }
  }

  /**
   * Sets a parameter.
   *
   * @throws NoSuchFileException if there is no such parameter
   * @throws IOException if the kernel rejects the value, or /proc/sys is read-only
   * @throws IllegalArgumentException if the key leads out of the root
   */
  public void set(String key, String value) throws IOException {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          write(key, value);
          return;
        } catch (ClosedByInterruptException e) {
          interrupted = Thread.interrupted(); // it cannot be seen whether the value was written
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void write(String key, String value) throws IOException {
    // In one write: the kernel takes each write for a complete value.
    try (SeekableByteChannel channel = Files.newByteChannel(file(key), StandardOpenOption.WRITE)) {
      ByteBuffer bytes = StandardCharsets.UTF_8.encode(value);
      int length = bytes.remaining();
      if (channel.write(bytes) != length) {
        throw new IOException(file(key) + " accepted only a part of the value");
      }
    }
  }

  /**
   * Sets a parameter that is needed, unless it has the value already: where /proc/sys is read-only,
   * this succeeds if there is nothing to change.
   *
   * @throws NoSuchFileException if there is no such parameter
   * @throws IOException if it cannot be read, or has another value and cannot be set; the message
   *     says how to set it
   */
  public void ensure(String key, String value) throws IOException {
    String present = get(key);
    if (!present.equals(value)) {
      try {
        set(key, value);
      } catch (IOException e) {
        throw new IOException(unsettable(key, present, value, e), e);
      }
    }
  }

  private String unsettable(String key, String present, String value, IOException e) {
    String name = name(key);
    String reason = e instanceof FileSystemException failed ? failed.getReason() : e.getMessage();
    return "%s is %s, has to be %s and cannot be set (%s%s); set it in this network namespace, %s"
        .formatted(
            name,
            present,
            value,
            file(key),
            reason == null ? "" : ": " + reason,
            "\"sysctl -w " + name + "=" + value + "\", or make /proc/sys writable");
  }

  /**
   * Returns a parameter's name as sysctl(8) writes it, with dots; dots of an interface's name
   * become slashes.
   */
  public static String name(String key) {
    StringBuilder name = new StringBuilder();
    key.chars().forEach(c -> name.append(c == '/' ? '.' : c == '.' ? '/' : (char) c));
    return name.toString();
  }

  /**
   * Sets a parameter that is useful but not needed, if that is possible. This writes first, and
   * reads only if that fails: faster for a parameter that most likely has another value.
   *
   * @return why it does not have the value; empty if it has
   */
  public Optional<IOException> setIfPossible(String key, String value) {
    try {
      set(key, value);
      return Optional.empty();
    } catch (IOException e) {
      return has(key, value) ? Optional.empty() : Optional.of(e);
    }
  }

  private boolean has(String key, String value) {
    try {
      return get(key).equals(value);
    } catch (IOException e) {
      return false;
    }
  }

  private Path file(String key) {
    Path file = root.resolve(key).normalize();
    if (!file.startsWith(root)) {
      throw new IllegalArgumentException("not a kernel parameter: " + key);
    }
    return file;
  }
}
