package cni.netlink.ffm;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Requests that were sent together, and what has been received in answer to them so far.
 *
 * <p>The kernel treats them in their order and tells every refusal. So only the last one has to be
 * answered in any case: whatever answers it says that those before it are done as well.
 */
final class NetlinkReception {
  private final List<NetlinkMessage> requests;
  private final int port;
  private final int firstSequence;
  private final List<List<ByteBuffer>> objects = new ArrayList<>();
  private final @Nullable NetlinkException[] errors;
  private final boolean[] ended;
  private final boolean batch;
  private int open;
  private boolean interrupted;

  /**
   * Begins with nothing received.
   *
   * @param batch whether the requests are a batch of netfilter's: framed by a begin and an end, all
   *     or none done, and only the last of them acknowledged
   */
  NetlinkReception(List<NetlinkMessage> requests, boolean batch, int port, int firstSequence) {
    this.requests = requests;
    this.batch = batch;
    this.port = port;
    this.firstSequence = firstSequence;
    this.errors = new NetlinkException[requests.size()];
    this.ended = new boolean[requests.size()];
    this.open = requests.size();
    requests.forEach(request -> objects.add(new ArrayList<>(1)));
  }

  String description() {
    return requests.getFirst().description();
  }

  byte[] encode() {
    var bytes = new ByteArrayOutputStream();
    int last = batch ? lastOfBatch() : requests.size() - 1;
    for (int i = 0; i < requests.size(); i++) {
      boolean acknowledged = i == last && !requests.get(i).isAnsweredByOne();
      bytes.writeBytes(requests.get(i).encode(firstSequence + i, port, acknowledged));
    }
    return bytes.toByteArray();
  }

  /**
   * Whether everything has been answered. What stands for a whole batch is the acknowledgement of
   * its last request, which comes after every refusal, or a refusal of its begin.
   */
  boolean complete() {
    return batch ? ended[0] || ended[lastOfBatch()] : open == 0;
  }

  private int lastOfBatch() {
    return requests.size() - 2; // before the end
  }

  /** The first refusal, if there was one: that of a batch as a whole counts before all others. */
  Optional<NetlinkException> firstError() {
    return Arrays.stream(errors).filter(Objects::nonNull).findFirst();
  }

  /** Whether the kernel said that a list changed while it told it. */
  boolean interrupted() {
    return interrupted;
  }

  /** Whether asking again changes nothing: true of what only gets. */
  boolean repeatable() {
    return requests.stream().allMatch(NetlinkMessage::isQuery);
  }

  List<NetlinkAnswer> answers() {
    List<NetlinkAnswer> answers = new ArrayList<>(requests.size());
    for (int i = 0; i < requests.size(); i++) {
      answers.add(new NetlinkAnswer(objects.get(i), Optional.ofNullable(errors[i])));
    }
    return answers;
  }

  /** Takes a datagram, which holds one message or several. */
  void accept(ByteBuffer datagram) throws IOException {
    int at = 0;
    while (datagram.limit() - at >= Netlink.NLMSG_HDRLEN) {
      int length = datagram.getInt(at);
      if (length < Netlink.NLMSG_HDRLEN || length > datagram.limit() - at) {
        throw new MalformedMessageException(description() + ": message of length " + length);
      }
      int payload = at + Netlink.NLMSG_HDRLEN;
      message(
          Short.toUnsignedInt(datagram.getShort(at + 4)),
          Short.toUnsignedInt(datagram.getShort(at + 6)),
          datagram.getInt(at + 8) - firstSequence,
          datagram.getInt(at + 12),
          datagram.slice(payload, length - Netlink.NLMSG_HDRLEN).order(datagram.order()));
      at += Netlink.align(length);
    }
  }

  private void message(int type, int flags, int index, int toPort, ByteBuffer payload)
      throws IOException {
    if (index < 0 || index >= ended.length || ended[index] || toPort != port) {
      return; // the late answer to a request that was given up
    }
    interrupted |= (flags & Netlink.NLM_F_DUMP_INTR) != 0;
    switch (type) {
      case Netlink.NLMSG_NOOP -> {}
      case Netlink.NLMSG_OVERRUN ->
          throw new KernelException(Errno.ENOBUFS, requests.get(index).description());
      case Netlink.NLMSG_ERROR, Netlink.NLMSG_DONE -> end(type, flags, index, payload);
      default -> {
        objects.get(index).add(payload);
        if (requests.get(index).isAnsweredByOne()) {
          end(index);
        }
      }
    }
  }

  private void end(int index) {
    for (int i = batch ? index : 0; i <= index; i++) {
      open -= ended[i] ? 0 : 1;
      ended[i] = true;
    }
  }

  /** struct nlmsgerr: error s32, then the header of the request; NLMSG_DONE has the error alone. */
  private void end(int type, int flags, int index, ByteBuffer payload) throws IOException {
    boolean done = type == Netlink.NLMSG_DONE;
    if (payload.remaining() < 4 && !done) {
      throw new MalformedMessageException(
          "an acknowledgement of " + payload.remaining() + " bytes");
    }
    int error = payload.remaining() >= 4 ? payload.getInt(0) : 0;
    if (error < 0) {
      String words = extendedAck(flags, done ? 4 : 4 + Netlink.NLMSG_HDRLEN, payload);
      errors[index] = new NetlinkException(-error, requests.get(index).description(), words);
    }
    end(index);
  }

  private static String extendedAck(int flags, int start, ByteBuffer payload)
      throws MalformedMessageException {
    if ((flags & Netlink.NLM_F_ACK_TLVS) == 0) {
      return "";
    }
    int from = start;
    if (start > 4 && (flags & Netlink.NLM_F_CAPPED) == 0) {
      from = 4 + Netlink.align(payload.getInt(4)); // the request is echoed whole
    }
    if (from < 0 || from > payload.remaining()) {
      throw new MalformedMessageException("an acknowledgement that ends too early");
    }
    ByteBuffer tlvs = payload.slice(from, payload.remaining() - from).order(payload.order());
    return Attributes.read(tlvs).string(Netlink.NLMSGERR_ATTR_MSG).orElse("");
  }
}
