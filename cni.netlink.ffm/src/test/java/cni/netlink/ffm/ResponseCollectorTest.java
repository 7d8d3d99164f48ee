// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Responses as the kernel sends them, and malformed ones. */
class ResponseCollectorTest {
  private static final int PORT = 77;
  private static final int FIRST = 10;
  private static final int RTM_NEWLINK = 16;
  private static final int RTM_GETLINK = 18;

  private final ResponseCollector collector =
      new ResponseCollector(List.of(request("first"), request("second")), false, PORT, FIRST);

  private static NetlinkRequest request(String description) {
    return new NetlinkRequest(description, RTM_NEWLINK, 0);
  }

  @Test
  void responsesAreMatchedToRequestsBySequenceNumber() throws IOException {
    collector.accept(message(RTM_NEWLINK, 0, FIRST, PORT, ByteBuffer.allocate(8)));
    assertFalse(collector.isComplete());
    collector.accept(message(NetlinkConstants.NLMSG_ERROR, 0, FIRST + 1, PORT, ack(-17)));
    assertTrue(collector.isComplete());
    List<NetlinkResponse> responses = collector.responses();
    assertEquals(1, responses.getFirst().orThrow().size());
    NetlinkException refused = assertThrows(NetlinkException.class, responses.getLast()::orThrow);
    assertEquals(Errno.EEXIST, refused.errno());
    assertEquals("second: File exists (errno 17)", refused.getMessage());
  }

  @Test
  void onlyTheLastRequestAsksForAnAcknowledgement() throws IOException {
    ByteBuffer sent = ByteBuffer.wrap(collector.encode()).order(ByteOrder.nativeOrder());
    assertEquals(NetlinkConstants.NLM_F_REQUEST, sent.getShort(6));
    int second = NetlinkConstants.align(sent.getInt(0));
    assertEquals(
        NetlinkConstants.NLM_F_REQUEST | NetlinkConstants.NLM_F_ACK, sent.getShort(second + 6));
    collector.accept(message(NetlinkConstants.NLMSG_ERROR, 0, FIRST + 1, PORT, ack(0)));
    assertTrue(collector.isComplete());
    // The acknowledgement of the second request completes the first.
    collector.responses().getFirst().orThrow();
  }

  @Test
  void errorOfAnEarlierRequestDoesNotCompleteTheExchange() throws IOException {
    collector.accept(message(NetlinkConstants.NLMSG_ERROR, 0, FIRST, PORT, ack(-17)));
    assertFalse(collector.isComplete());
    collector.accept(message(NetlinkConstants.NLMSG_ERROR, 0, FIRST + 1, PORT, ack(0)));
    assertThrows(NetlinkException.class, collector.responses().getFirst()::orThrow);
    collector.responses().getLast().orThrow();
  }

  @Test
  void responseToAGetRequestServesAsItsAcknowledgement() throws IOException {
    var get = new NetlinkRequest("get", RTM_GETLINK, 0);
    var getCollector = new ResponseCollector(List.of(request("first"), get), false, PORT, FIRST);
    ByteBuffer sent = ByteBuffer.wrap(getCollector.encode()).order(ByteOrder.nativeOrder());
    assertEquals(
        NetlinkConstants.NLM_F_REQUEST, sent.getShort(NetlinkConstants.align(sent.getInt(0)) + 6));
    getCollector.accept(message(RTM_NEWLINK, 0, FIRST + 1, PORT, ByteBuffer.allocate(8)));
    assertTrue(getCollector.isComplete());
    assertEquals(1, getCollector.responses().getLast().orThrow().size());
  }

  @Test
  void datagramWithSeveralMessagesIsSplit() throws IOException {
    ByteBuffer one =
        message(RTM_NEWLINK, NetlinkConstants.NLM_F_MULTI, FIRST, PORT, ByteBuffer.allocate(5));
    ByteBuffer two =
        message(NetlinkConstants.NLMSG_DONE, NetlinkConstants.NLM_F_MULTI, FIRST, PORT, ack(0));
    var both = ByteBuffer.allocate(NetlinkConstants.align(one.limit()) + two.limit());
    both.order(ByteOrder.nativeOrder()).put(0, one, 0, one.limit());
    both.put(NetlinkConstants.align(one.limit()), two, 0, two.limit());
    collector.accept(both);
    assertEquals(5, collector.responses().getFirst().orThrow().getFirst().remaining());
  }

  @Test
  void messagesForOtherSequencesOrPortsAreIgnored() throws IOException {
    collector.accept(message(NetlinkConstants.NLMSG_ERROR, 0, FIRST - 1, PORT, ack(-1)));
    collector.accept(message(NetlinkConstants.NLMSG_ERROR, 0, FIRST + 2, PORT, ack(-1)));
    collector.accept(message(NetlinkConstants.NLMSG_ERROR, 0, FIRST, PORT + 1, ack(-1)));
    assertFalse(collector.isComplete());
    collector.accept(message(NetlinkConstants.NLMSG_ERROR, 0, FIRST, PORT, ack(0)));
    collector.accept(message(NetlinkConstants.NLMSG_ERROR, 0, FIRST + 1, PORT, ack(0)));
    for (NetlinkResponse response : collector.responses()) {
      response.orThrow();
    }
  }

  @Test
  void extendedAckTextEndsTheExceptionMessage() throws IOException {
    byte[] text = "Operation not supported for this device\0".getBytes(StandardCharsets.UTF_8);
    int length = NetlinkConstants.NLA_HDRLEN + text.length;
    var payload =
        ByteBuffer.allocate(4 + NetlinkConstants.NLMSG_HDRLEN + NetlinkConstants.align(length))
            .order(ByteOrder.nativeOrder());
    payload.putInt(0, -95).putInt(4, NetlinkConstants.NLMSG_HDRLEN);
    payload.putShort(20, (short) length).putShort(22, (short) NetlinkConstants.NLMSGERR_ATTR_MSG);
    payload.put(24, text);
    int flags = NetlinkConstants.NLM_F_CAPPED | NetlinkConstants.NLM_F_ACK_TLVS;
    collector.accept(message(NetlinkConstants.NLMSG_ERROR, flags, FIRST, PORT, payload));
    NetlinkException e =
        assertThrows(NetlinkException.class, collector.responses().getFirst()::orThrow);
    assertEquals("Operation not supported for this device", e.extendedAck());
    assertTrue(String.valueOf(e.getMessage()).contains(e.extendedAck()));
  }

  @Test
  void inconsistentLengthsAreRejected() {
    ByteBuffer tooLong = message(RTM_NEWLINK, 0, FIRST, PORT, ByteBuffer.allocate(8));
    tooLong.putInt(0, 4000);
    assertThrows(MalformedMessageException.class, () -> collector.accept(tooLong));
    ByteBuffer tooShort = message(RTM_NEWLINK, 0, FIRST, PORT, ByteBuffer.allocate(8));
    tooShort.putInt(0, 3);
    assertThrows(MalformedMessageException.class, () -> collector.accept(tooShort));
    ByteBuffer noError =
        message(NetlinkConstants.NLMSG_ERROR, 0, FIRST, PORT, ByteBuffer.allocate(2));
    assertThrows(MalformedMessageException.class, () -> collector.accept(noError));
    ByteBuffer wrongAttribute = ByteBuffer.allocate(8).order(ByteOrder.nativeOrder());
    wrongAttribute.putShort(0, (short) 200);
    assertThrows(MalformedMessageException.class, () -> Attributes.read(wrongAttribute));
    wrongAttribute.putShort(0, (short) 2);
    assertThrows(MalformedMessageException.class, () -> Attributes.read(wrongAttribute));
  }

  @Test
  void interruptedDumpIsReported() throws IOException {
    assertFalse(collector.isInterrupted());
    collector.accept(
        message(
            NetlinkConstants.NLMSG_DONE, NetlinkConstants.NLM_F_DUMP_INTR, FIRST, PORT, ack(0)));
    assertTrue(collector.isInterrupted());
  }

  private static ByteBuffer ack(int error) {
    return ByteBuffer.allocate(4 + NetlinkConstants.NLMSG_HDRLEN)
        .order(ByteOrder.nativeOrder())
        .putInt(0, error);
  }

  private static ByteBuffer message(int type, int flags, int sequence, int port, ByteBuffer body) {
    int length = NetlinkConstants.NLMSG_HDRLEN + body.capacity();
    ByteBuffer message = ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
    message.putInt(0, length).putShort(4, (short) type).putShort(6, (short) flags);
    message.putInt(8, sequence).putInt(12, port);
    return message.put(NetlinkConstants.NLMSG_HDRLEN, body, 0, body.capacity());
  }
}
