package cni.netlink.lab;

import cni.netlink.ffm.NetNs;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What another program sends to the kernel. It sends before the kernel refuses, so that requests
 * can be compared even where the kernel lacks the feature.
 */
public final class Strace {
  /** A line of a dump: {@code | 00010 07 00 00 00 04 00 00 00 00 00 ... ........ |}. */
  private static final Pattern DUMP = Pattern.compile("^ \\| ([0-9a-f]{5})  (.{49}) .*$");

  private static final int HEADER = 16;

  private Strace() {}

  /**
   * The last netlink message that a command sends, without its header.
   *
   * @param command it may fail
   */
  public static byte[] lastMessage(NetNs where, String... command) throws IOException {
    List<String> traced =
        new ArrayList<>(List.of("strace", "-e", "trace=sendmsg,sendto", "-e", "write=all"));
    traced.addAll(List.of(command));
    String text = Lab.attempt(where, traced.toArray(String[]::new)).text();
    var message = new ByteArrayOutputStream();
    for (String line : text.lines().toList()) {
      Matcher dump = DUMP.matcher(line);
      if (dump.matches()) {
        if (dump.group(1).equals("00000")) {
          message.reset();
        }
        message.writeBytes(HexFormat.of().parseHex(dump.group(2).replace(" ", "")));
      }
    }
    if (message.size() < HEADER) {
      throw new AssertionError("strace shows no message:\n" + text);
    }
    byte[] whole = message.toByteArray();
    return java.util.Arrays.copyOfRange(whole, HEADER, whole.length);
  }
}
