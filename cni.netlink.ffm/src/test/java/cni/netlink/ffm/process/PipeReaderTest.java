// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcProcess;
import org.junit.jupiter.api.Test;

class PipeReaderTest {
  @Test
  void readerIsGoneWhenItsEndIsClosed() throws Exception {
    int[] ends = LibcProcess.pipe2();
    try {
      assertFalse(PipeReader.isGone(ends[1]));
    } finally {
      Libc.close(ends[0]);
    }
    assertTrue(PipeReader.isGone(ends[1]));
    Libc.close(ends[1]);
    assertFalse(PipeReader.isGone(-1));
  }
}
