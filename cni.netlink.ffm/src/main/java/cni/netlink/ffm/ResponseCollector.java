// SPDX-License-Identifier: Apache-2.0
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
 * Collects the responses to requests that were sent together.
 *
 * <p>The kernel handles requests in order and reports every error even without NLM_F_ACK. Only the
 * last request therefore has that flag: the response to it also completes those before it.
 */
final class ResponseCollector {
  private final List<NetlinkRequest> requests;
  private final int port;
  private final int firstSequence;
  private final List<List<ByteBuffer>> payloads = new ArrayList<>();
  private final @Nullable NetlinkException[] errors;
  private final boolean[] finished;
  private final boolean netfilterBatch;
  private int pending;
  private boolean interrupted;

  /**
   * Creates a collector that has received nothing.
   *
   * @param netfilterBatch whether the requests are a netfilter batch: framed by a begin and an end
   *     message, applied entirely or not at all, and acknowledged by the last request within the
   *     frame
   * @param port the socket's own address; messages for others are ignored
   * @param firstSequence the sequence number of the first request; the others follow
   */
  ResponseCollector(
      List<NetlinkRequest> requests, boolean netfilterBatch, int port, int firstSequence) {
    this.requests = requests;
    this.netfilterBatch = netfilterBatch;
    this.port = port;
    this.firstSequence = firstSequence;
    this.errors = new NetlinkException[requests.size()];
    this.finished = new boolean[requests.size()];
    this.pending = requests.size();
    for (int i = 0; i < requests.size(); i++) {
      payloads.add(new ArrayList<>(1));
    }
  }

  /** Returns the description of the first request, with which the message of an error begins. */
  String description() {
    return requests.getFirst().description();
  }

  /** Returns whether the requests are a netfilter batch. */
  boolean isBatch() {
    return netfilterBatch;
  }

  /** Returns the requests as one datagram. */
  byte[] encode() {
    var bytes = new ByteArrayOutputStream();
    int last = netfilterBatch ? lastIndexOfBatch() : requests.size() - 1;
    for (int i = 0; i < requests.size(); i++) {
      boolean acknowledged = i == last && !requests.get(i).hasSingleResponse();
      bytes.writeBytes(requests.get(i).encode(firstSequence + i, port, acknowledged));
    }
    return bytes.toByteArray();
  }

  /**
   * Returns whether every request has its response. A netfilter batch is complete with the
   * acknowledgement of its last request, which follows all errors, or with an error of its begin
   * message.
   */
  boolean isComplete() {
    return netfilterBatch ? finished[0] || finished[lastIndexOfBatch()] : pending == 0;
  }

  private int lastIndexOfBatch() {
    return requests.size() - 2; // the end message is not acknowledged
  }

  /**
   * Returns the first error in the order of the requests; a netfilter batch's own error comes
   * first.
   */
  Optional<NetlinkException> firstError() {
    return Arrays.stream(errors).filter(Objects::nonNull).findFirst();
  }

  /** Returns whether a dump may be inconsistent because its subject changed (NLM_F_DUMP_INTR). */
  boolean isInterrupted() {
    return interrupted;
  }

  /** Returns whether the requests may be sent again: whether none of them changes anything. */
  boolean isRepeatable() {
    return requests.stream().allMatch(NetlinkRequest::isQuery);
  }

  /** Returns what has been received, in the order of the requests. */
  List<NetlinkResponse> responses() {
    List<NetlinkResponse> responses = new ArrayList<>(requests.size());
    for (int i = 0; i < requests.size(); i++) {
      responses.add(new NetlinkResponse(payloads.get(i), Optional.ofNullable(errors[i])));
    }
    return responses;
  }

  /**
   * Accepts a datagram, which contains one or several messages.
   *
   * @throws MalformedMessageException if a length is wrong
   * @throws KernelException ENOBUFS if the kernel reports that it lost messages
   */
  void accept(ByteBuffer datagram) throws IOException {
    int at = 0;
    while (datagram.limit() - at >= NetlinkConstants.NLMSG_HDRLEN) {
      int length = datagram.getInt(at);
      if (length < NetlinkConstants.NLMSG_HDRLEN || length > datagram.limit() - at) {
        throw new MalformedMessageException(description() + ": message of length " + length);
      }
      int payload = at + NetlinkConstants.NLMSG_HDRLEN;
      acceptMessage(
          Short.toUnsignedInt(datagram.getShort(at + 4)),
          Short.toUnsignedInt(datagram.getShort(at + 6)),
          datagram.getInt(at + 8) - firstSequence,
          datagram.getInt(at + 12),
          datagram.slice(payload, length - NetlinkConstants.NLMSG_HDRLEN).order(datagram.order()));
      at += NetlinkConstants.align(length);
    }
  }

  private void acceptMessage(int type, int flags, int index, int toPort, ByteBuffer payload)
      throws IOException {
    if (index < 0 || index >= finished.length || finished[index] || toPort != port) {
      return; // a late response to a request that timed out
    }
    interrupted |= (flags & NetlinkConstants.NLM_F_DUMP_INTR) != 0;
    switch (type) {
      case NetlinkConstants.NLMSG_NOOP -> {}
      case NetlinkConstants.NLMSG_OVERRUN ->
          throw new KernelException(Errno.ENOBUFS, requests.get(index).description());
      case NetlinkConstants.NLMSG_ERROR, NetlinkConstants.NLMSG_DONE ->
          finish(type, flags, index, payload);
      default -> {
        payloads.get(index).add(payload);
        if (requests.get(index).hasSingleResponse()) {
          finish(index);
        }
      }
    }
  }

  private void finish(int index) {
    for (int i = netfilterBatch ? index : 0; i <= index; i++) {
      pending -= finished[i] ? 0 : 1;
      finished[i] = true;
    }
  }

  /** struct nlmsgerr: error s32, then the header of the request; NLMSG_DONE has the error alone. */
  private void finish(int type, int flags, int index, ByteBuffer payload) throws IOException {
    boolean done = type == NetlinkConstants.NLMSG_DONE;
    if (payload.remaining() < 4 && !done) {
      throw new MalformedMessageException(
          "an acknowledgement of " + payload.remaining() + " bytes");
    }
    int error = payload.remaining() >= 4 ? payload.getInt(0) : 0;
    if (error < 0) {
      String text = extendedAck(flags, done ? 4 : 4 + NetlinkConstants.NLMSG_HDRLEN, payload);
      errors[index] = new NetlinkException(-error, requests.get(index).description(), text);
    }
    finish(index);
  }

  private static String extendedAck(int flags, int start, ByteBuffer payload)
      throws MalformedMessageException {
    if ((flags & NetlinkConstants.NLM_F_ACK_TLVS) == 0) {
      return "";
    }
    int from = start;
    if (start > payload.remaining()) {
      throw new MalformedMessageException("an acknowledgement that ends too early");
    }
    if (start > 4 && (flags & NetlinkConstants.NLM_F_CAPPED) == 0) {
      from = 4 + NetlinkConstants.align(payload.getInt(4)); // the whole request is echoed
    }
    if (from < 0 || from > payload.remaining()) {
      throw new MalformedMessageException("an acknowledgement that ends too early");
    }
    ByteBuffer tlvs = payload.slice(from, payload.remaining() - from).order(payload.order());
    return Attributes.read(tlvs).string(NetlinkConstants.NLMSGERR_ATTR_MSG).orElse("");
  }
}
