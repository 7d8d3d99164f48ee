// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.netlink.ffm.netns.NetNs;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The netlink messages that another program sends, seen by strace(1). They are recorded even if the
 * kernel refuses them, so that requests can be compared on kernels that lack the feature.
 */
public final class NetlinkTrace {
  /** A line of a dump: {@code | 00010 07 00 00 00 04 00 00 00 00 00 ... ........ |}. */
  private static final Pattern DUMP_LINE = Pattern.compile("^ \\| ([0-9a-f]{5})  (.{49}) .*$");

  /** Length of struct nlmsghdr (linux/netlink.h), in bytes. */
  private static final int HEADER_LENGTH = 16;

  private NetlinkTrace() {}

  /**
   * Returns the last netlink message that a command sends, without its header.
   *
   * @param command the command, which may fail
   * @throws AssertionError if strace shows no message
   * @throws IOException if strace cannot be started
   */
  public static byte[] lastMessage(NetNs netns, String... command) throws IOException {
    List<String> traced =
        new ArrayList<>(List.of("strace", "-e", "trace=sendmsg,sendto", "-e", "write=all"));
    traced.addAll(List.of(command));
    String text = TestBed.tryRun(netns, traced.toArray(String[]::new)).text();
    var message = new ByteArrayOutputStream();
    for (String line : text.lines().toList()) {
      Matcher dump = DUMP_LINE.matcher(line);
      if (dump.matches()) {
        if (dump.group(1).equals("00000")) {
          message.reset();
        }
        message.writeBytes(HexFormat.of().parseHex(dump.group(2).replace(" ", "")));
      }
    }
    if (message.size() < HEADER_LENGTH) {
      throw new AssertionError("strace shows no message:\n" + text);
    }
    byte[] complete = message.toByteArray();
    return Arrays.copyOfRange(complete, HEADER_LENGTH, complete.length);
  }
}
