// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;

/**
 * Passes mutations of valid messages to a reader, which may only throw {@link
 * MalformedMessageException} or {@link KernelException}. The number of the mutation that a failure
 * names reproduces it. By default the same {@value #SHORT_RUN} mutations are tried each time; with
 * the system property {@value #CAMPAIGN} as many as fit into that number of seconds.
 */
public final class Mutations {
  private static final String CAMPAIGN = "cni.test.campaign.seconds";
  private static final int SHORT_RUN = 20_000;
  private static final int MAX_CHANGES = 4;

  /** Lengths, types and counts at the edges of what is checked. */
  private static final int[] EDGES = {
    0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 20, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, -4, -1
  };

  private Mutations() {}

  /** Reads a message. */
  @FunctionalInterface
  public interface Reader {
    /** Reads it; results that are read when they are used have to be used, too. */
    void read(ByteBuffer message) throws IOException;
  }

  /** Returns the content of a request, without its header. */
  public static byte[] payload(NetlinkRequest request) {
    byte[] bytes = request.encode(1, 1, false);
    return Arrays.copyOfRange(bytes, NetlinkConstants.NLMSG_HDRLEN, bytes.length);
  }

  /** Passes valid messages to a reader, which has to accept them, then mutations of them. */
  public static void test(List<byte[]> valid, Reader reader) throws IOException {
    for (byte[] message : valid) {
      reader.read(buffer(message));
    }
    long seconds = Long.getLong(CAMPAIGN, 0);
    long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
    for (long i = 0; i < SHORT_RUN || (seconds > 0 && System.nanoTime() < end); i++) {
      byte[] mutated = mutate(valid, new Random(i));
      try {
        reader.read(buffer(mutated));
      } catch (IOException | RuntimeException | Error e) {
        if (!isDocumented(e)) {
          fail("mutation " + i + ": " + HexFormat.of().formatHex(mutated), e);
        }
      }
    }
  }

  private static boolean isDocumented(Throwable e) {
    return e instanceof MalformedMessageException || e instanceof KernelException;
  }

  private static ByteBuffer buffer(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder());
  }

  private static byte[] mutate(List<byte[]> valid, Random random) {
    byte[] bytes = valid.get(random.nextInt(valid.size())).clone();
    int changes = 1 + random.nextInt(MAX_CHANGES);
    for (int i = 0; i < changes && bytes.length > 0; i++) {
      bytes = change(bytes, valid, random);
    }
    return bytes;
  }

  private static byte[] change(byte[] bytes, List<byte[]> valid, Random random) {
    int at = random.nextInt(bytes.length);
    int aligned = at & ~3;
    switch (random.nextInt(7)) {
      case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
      case 1 -> bytes[at] = (byte) EDGES[random.nextInt(EDGES.length)];
      case 2 -> putShort(bytes, aligned, EDGES[random.nextInt(EDGES.length)]);
      case 3 -> putShort(bytes, aligned, random.nextInt(2 * bytes.length + 1));
      case 4 -> {
        return Arrays.copyOf(bytes, at);
      }
      case 5 -> {
        return splice(bytes, aligned, valid.get(random.nextInt(valid.size())), random);
      }
      default -> {
        return remove(bytes, aligned, 1 + random.nextInt(16));
      }
    }
    return bytes;
  }

  private static void putShort(byte[] bytes, int at, int value) {
    if (at + 2 <= bytes.length) {
      buffer(bytes).putShort(at, (short) value);
    }
  }

  /** Inserts a part of another message. */
  private static byte[] splice(byte[] bytes, int at, byte[] other, Random random) {
    int from = random.nextInt(other.length) & ~3;
    int length = random.nextInt(other.length - from + 1);
    byte[] spliced = Arrays.copyOf(bytes, bytes.length + length);
    System.arraycopy(other, from, spliced, at, length);
    System.arraycopy(bytes, at, spliced, at + length, bytes.length - at);
    return spliced;
  }

  private static byte[] remove(byte[] bytes, int at, int count) {
    int removed = Math.min(count, bytes.length - at);
    byte[] shorter = Arrays.copyOf(bytes, bytes.length - removed);
    System.arraycopy(bytes, at + removed, shorter, at, shorter.length - at);
    return shorter;
  }

  /** Returns the payloads of requests. */
  public static List<byte[]> payloads(List<NetlinkRequest> requests) {
    List<byte[]> payloads = new ArrayList<>();
    for (NetlinkRequest request : requests) {
      payloads.add(payload(request));
    }
    return payloads;
  }
}
