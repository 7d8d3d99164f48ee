package cni.netlink.ffm.file;

import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
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
  /** Nearly every value is shorter than this, in bytes. */
  private static final int TYPICAL_LENGTH = 256;

  /** Lists of ports, which are the longest, stay below this. */
  private static final int MAX_LENGTH = 1 << 20;

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
    String value = read(file(key), TYPICAL_LENGTH);
    return value.length() < TYPICAL_LENGTH ? value.strip() : read(file(key), MAX_LENGTH).strip();
  }

  private static String read(Path file, int atMost) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] value = new byte[atMost];
      int length = in.read(value);
      return length < 0 ? "" : new String(value, 0, length, StandardCharsets.UTF_8);
    }
  }

  /**
   * Sets a parameter.
   *
   * @throws IOException if there is no such parameter or the kernel does not take the value
   */
  public void set(String key, String value) throws IOException {
    // In one write: each is a value of its own for the kernel.
    try (SeekableByteChannel channel = Files.newByteChannel(file(key), StandardOpenOption.WRITE)) {
      ByteBuffer bytes = StandardCharsets.UTF_8.encode(value);
      int length = bytes.remaining();
      if (channel.write(bytes) != length) {
        throw new IOException(file(key) + " took a part of the value only");
      }
    }
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

  /**
   * As {@link #ensure}, for a parameter that most likely has another value: it is written without
   * being read first.
   *
   * @throws IOException as {@link #get} and {@link #set}
   */
  public void setOrVerify(String key, String value) throws IOException {
    try {
      set(key, value);
    } catch (NoSuchFileException e) {
      throw e;
    } catch (IOException e) {
      if (!get(key).equals(value)) {
        throw e;
      }
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
