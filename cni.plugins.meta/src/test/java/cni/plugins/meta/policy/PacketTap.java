// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.TestBed;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Sends frames on an interface as they are, and records those that arrive at it. */
final class PacketTap implements AutoCloseable {
  /** A packet socket of packet(7); received frames and "sync" are printed a line each. */
  private static final String SCRIPT =
      """
      import os, select, socket, sys
      tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
      tap.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
      tap.bind((sys.argv[1], 3))  # ETH_P_ALL
      tap.setblocking(False)
      def drain():
          lines = []
          while True:
              try:
                  frame, address = tap.recvfrom(65535)
              except BlockingIOError:
                  break
              if address[2] != 4:  # PACKET_OUTGOING
                  lines.append(frame.hex())
          return lines
      def put(lines):
          if lines:
              os.write(1, ("\\n".join(lines) + "\\n").encode())
      put(["ready"])
      rest = b""
      while True:
          ready, _, _ = select.select([0, tap], [], [])
          if tap in ready:
              put(drain())
          if 0 in ready:
              data = os.read(0, 65536)
              if not data:
                  break
              *commands, rest = (rest + data).split(b"\\n")
              for command in commands:
                  if command == b"sync":
                      put(drain() + ["sync"])
                  else:
                      tap.send(bytes.fromhex(command.decode()))
      """;

  private static final long TIMEOUT_SECONDS = 60;

  private final Process process;
  private final Writer commands;
  private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();

  private PacketTap(Process process) {
    this.process = process;
    commands = process.outputWriter();
    Thread.ofPlatform().daemon().start(this::read);
  }

  /** Opens a tap. */
  static PacketTap open(NetNs netns, String link) throws IOException {
    String name = TestBed.nameOf(netns);
    var tap =
        new PacketTap(
            new ProcessBuilder("ip", "netns", "exec", name, "python3", "-uc", SCRIPT, link)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start());
    if (!tap.take().equals("ready")) {
      throw new AssertionError("no packet socket on " + link);
    }
    return tap;
  }

  private void read() {
    try (BufferedReader reader = process.inputReader()) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        lines.add(line);
      }
    } catch (IOException e) {
      lines.add("closed");
    }
  }

  private String take() {
    try {
      String line = lines.poll(TIMEOUT_SECONDS, TimeUnit.SECONDS);
      if (line == null) {
        throw new AssertionError("the packet socket does not reply");
      }
      return line;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  /** Sends frames, each from the Ethernet header on. */
  void send(byte[]... frames) throws IOException {
    var text = new StringBuilder();
    for (byte[] frame : frames) {
      text.append(HexFormat.of().formatHex(frame)).append('\n');
    }
    commands.write(text.toString());
    commands.flush();
  }

  /**
   * Returns the frames that have arrived since the last call, and until after all that was sent.
   */
  List<byte[]> received() throws IOException {
    commands.write("sync\n");
    commands.flush();
    List<byte[]> frames = new ArrayList<>();
    for (String line = take(); !line.equals("sync"); line = take()) {
      frames.add(HexFormat.of().parseHex(line));
    }
    return frames;
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
