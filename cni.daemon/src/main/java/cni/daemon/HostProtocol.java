// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;

/**
 * The protocol between a caller and the host. A connection serves one request. Numbers are in the
 * byte order of the machine. The caller's side for executables is the launcher,
 * cni.cli/src/main/c/launcher.c; {@link HostClient} is another.
 *
 * <p>The request is a header of {@value #HEADER_LENGTH} bytes and a body. With the first byte come
 * descriptors (SCM_RIGHTS): the caller's network namespace and, if the header says so, that of the
 * container.
 *
 * <pre>
 *  0  magic: C N I, protocol version
 *  4  u32  length of the body
 *  8  u64  device, inode, size, modification time in ns of the image's lib/modules
 * 40  u64  device, inode of the mount namespace
 * 56  u64  device, inode of the user namespace
 * 72  u32  number of arguments, the name that the caller was started by included
 * 76  u32  number of environment variables
 * 80  u32  length of the input
 * 84  u32  flags: 1 if the second descriptor is the container's namespace
 * </pre>
 *
 * <p>The body: the working directory, the arguments and the variables (NAME=VALUE), each ended by a
 * NUL, then the input.
 *
 * <p>The host replies with frames: type u32, length of the payload u32, payload. The first is
 * {@link Frame#ACCEPTED} or {@link Frame#REFUSED}, the last {@link Frame#REFUSED} or {@link
 * Frame#EXIT}. Until it has received ACCEPTED, a caller may serve the request itself; afterwards it
 * must not. A request for the status, {@link HostClient#status}, is answered to any build. A caller
 * that closes the connection withdraws the request: it is interrupted.
 */
public final class HostProtocol {
  /** The default path of the host's socket. */
  public static final Path DEFAULT_SOCKET = Path.of("/run/cni/cni.sock");

  /** The environment variable with which a caller names another socket, or {@code none}. */
  public static final String SOCKET_VARIABLE = "CNI_HOST_SOCKET";

  static final int HEADER_LENGTH = 88;

  static final int MAGIC =
      ByteBuffer.wrap(new byte[] {'C', 'N', 'I', 1}).order(ByteOrder.nativeOrder()).getInt();

  /**
   * A configuration has a few kilobytes, an environment usually less. Callers with more, such as
   * thousands of port mappings, run the image: parsed, it would take much of the host's memory.
   */
  static final int MAX_BODY = 128 << 10;

  /** The largest payload of a frame. */
  static final int MAX_FRAME = 64 << 20;

  static final int MAX_DESCRIPTORS = 2;
  static final int FLAG_CONTAINER_NAMESPACE = 1;

  /** How long a caller may take to receive what the host sends. */
  static final Duration SEND_TIMEOUT = Duration.ofSeconds(10);

  private HostProtocol() {}

  /** The types of frames. */
  enum Frame {
    /** The request will be served; no payload. */
    ACCEPTED(1),
    /** The request is not served, for the reason in the payload. */
    REFUSED(2),
    /** Bytes for standard output. */
    OUT(3),
    /** Bytes for standard error. */
    ERR(4),
    /** The exit status, u32. */
    EXIT(5);

    private static final int HEADER = 8;
    private final int number;

    Frame(int number) {
      this.number = number;
    }

    /**
     * Returns the type with a number.
     *
     * @throws IllegalArgumentException if there is none
     */
    static Frame of(int number) {
      for (Frame frame : values()) {
        if (frame.number == number) {
          return frame;
        }
      }
      throw new IllegalArgumentException("there is no frame of type " + number);
    }

    byte[] bytes(String payload) {
      return bytes(payload.getBytes(StandardCharsets.UTF_8));
    }

    byte[] bytes(byte... payload) {
      return ByteBuffer.allocate(HEADER + payload.length)
          .order(ByteOrder.nativeOrder())
          .putInt(number)
          .putInt(payload.length)
          .put(payload)
          .array();
    }

    /** Returns the frame of an exit status, after what is left of the output. */
    static byte[] exit(byte[] output, int status) {
      var bytes = new ByteArrayOutputStream(output.length + 2 * HEADER + 4);
      if (output.length > 0) {
        bytes.writeBytes(OUT.bytes(output));
      }
      byte[] number = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder()).putInt(status).array();
      bytes.writeBytes(EXIT.bytes(number));
      return bytes.toByteArray();
    }
  }
}
