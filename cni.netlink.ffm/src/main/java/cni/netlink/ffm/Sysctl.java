package cni.netlink.ffm;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Kernel parameters, as sysctl(8) reads and sets them. Those below {@code net} belong to the
 * network namespace of the thread that touches them: use this inside {@link NetNs#call} for any but
 * one's own.
 *
 * @param root /proc/sys, or what stands for it in a test
 */
public record Sysctl(Path root) {
  /** What the kernel prints into at most (PAGE_SIZE of most machines). */
  private static final int LONGEST_VALUE = 4096;

  /** The running kernel's. */
  public static final Sysctl KERNEL = new Sysctl(Path.of("/proc/sys"));

  /**
   * Reads a parameter.
   *
   * @param key its path below /proc/sys, with slashes, so that an interface's name may have dots:
   *     {@code net/ipv4/conf/eth0/arp_notify}
   * @throws IOException if there is no such parameter or it cannot be read
   */
  public String get(String key) throws IOException {
    // In one read: the kernel tells a number only to a read from the start, so that one of a single
    // byte, with which Files.readString begins, would get its first digit and then the end.
    try (InputStream in = Files.newInputStream(file(key))) {
      byte[] value = new byte[LONGEST_VALUE];
      int length = in.read(value);
      return length < 0 ? "" : new String(value, 0, length, StandardCharsets.UTF_8).strip();
    }
  }

  /**
   * Sets a parameter.
   *
   * @throws IOException if there is no such parameter or the kernel does not take the value
   */
  public void set(String key, String value) throws IOException {
    Files.writeString(file(key), value, StandardOpenOption.WRITE);
  }

  /**
   * Sets a parameter unless it has that value already, so that it also works where /proc/sys is
   * read-only and all is well.
   *
   * @throws IOException as {@link #get} and {@link #set}
   */
  public void ensure(String key, String value) throws IOException {
    if (!get(key).equals(value)) {
      set(key, value);
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
