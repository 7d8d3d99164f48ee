// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.unix.UnixConnection;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** What a host sends to a caller that does not keep to the protocol. */
final class RawReply {
  private RawReply() {}

  /** Returns all bytes until the host closes the connection. */
  static byte[] readToEnd(UnixConnection connection) throws KernelException {
    var bytes = new ByteArrayOutputStream();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(4096);
      while (true) {
        int length = receive(connection, buffer);
        if (length == 0) {
          return bytes.toByteArray();
        }
        if (length < 0) {
          connection.awaitReadable(TestImage.TIMEOUT);
        } else {
          bytes.writeBytes(buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE));
        }
      }
    }
  }

  private static int receive(UnixConnection connection, MemorySegment buffer) {
    try {
      return connection.receive(buffer, 0).length();
    } catch (KernelException e) {
      return 0; // reset: the host has not read all that was sent
    }
  }
}
