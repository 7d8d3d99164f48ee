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

/** Answers that a sound kernel gives, and such as only an unsound one would. */
class NetlinkReceptionTest {
  private static final int PORT = 77;
  private static final int FIRST = 10;
  private static final int RTM_NEWLINK = 16;
  private static final int RTM_GETLINK = 18;

  private final NetlinkReception reception =
      new NetlinkReception(List.of(request("first"), request("second")), false, PORT, FIRST);

  private static NetlinkMessage request(String description) {
    return new NetlinkMessage(description, RTM_NEWLINK, 0);
  }

  @Test
  void answersBelongToTheirRequestsByNumber() throws IOException {
    reception.accept(message(RTM_NEWLINK, 0, FIRST, PORT, ByteBuffer.allocate(8)));
    assertFalse(reception.complete());
    reception.accept(message(Netlink.NLMSG_ERROR, 0, FIRST + 1, PORT, ack(-17)));
    assertTrue(reception.complete());
    List<NetlinkAnswer> answers = reception.answers();
    assertEquals(1, answers.getFirst().orThrow().size());
    NetlinkException refused = assertThrows(NetlinkException.class, answers.getLast()::orThrow);
    assertEquals(Errno.EEXIST, refused.errno());
    assertEquals("second: File exists (errno 17)", refused.getMessage());
  }

  @Test
  void onlyTheLastRequestIsAcknowledged() throws IOException {
    ByteBuffer sent = ByteBuffer.wrap(reception.encode()).order(ByteOrder.nativeOrder());
    assertEquals(Netlink.NLM_F_REQUEST, sent.getShort(6));
    int second = Netlink.align(sent.getInt(0));
    assertEquals(Netlink.NLM_F_REQUEST | Netlink.NLM_F_ACK, sent.getShort(second + 6));
    reception.accept(message(Netlink.NLMSG_ERROR, 0, FIRST + 1, PORT, ack(0)));
    assertTrue(reception.complete());
    reception.answers().getFirst().orThrow(); // done before, and would have been refused before
  }

  @Test
  void aRefusalInTheMiddleIsNotTheEnd() throws IOException {
    reception.accept(message(Netlink.NLMSG_ERROR, 0, FIRST, PORT, ack(-17)));
    assertFalse(reception.complete());
    reception.accept(message(Netlink.NLMSG_ERROR, 0, FIRST + 1, PORT, ack(0)));
    assertThrows(NetlinkException.class, reception.answers().getFirst()::orThrow);
    reception.answers().getLast().orThrow();
  }

  @Test
  void whatIsAskedForIsItsOwnAcknowledgement() throws IOException {
    var question = new NetlinkMessage("question", RTM_GETLINK, 0);
    var asked = new NetlinkReception(List.of(request("first"), question), false, PORT, FIRST);
    ByteBuffer sent = ByteBuffer.wrap(asked.encode()).order(ByteOrder.nativeOrder());
    assertEquals(Netlink.NLM_F_REQUEST, sent.getShort(Netlink.align(sent.getInt(0)) + 6));
    asked.accept(message(RTM_NEWLINK, 0, FIRST + 1, PORT, ByteBuffer.allocate(8)));
    assertTrue(asked.complete());
    assertEquals(1, asked.answers().getLast().orThrow().size());
  }

  @Test
  void severalMessagesInOneDatagram() throws IOException {
    ByteBuffer one = message(RTM_NEWLINK, Netlink.NLM_F_MULTI, FIRST, PORT, ByteBuffer.allocate(5));
    ByteBuffer two = message(Netlink.NLMSG_DONE, Netlink.NLM_F_MULTI, FIRST, PORT, ack(0));
    var both = ByteBuffer.allocate(Netlink.align(one.limit()) + two.limit());
    both.order(ByteOrder.nativeOrder()).put(0, one, 0, one.limit());
    both.put(Netlink.align(one.limit()), two, 0, two.limit());
    reception.accept(both);
    assertEquals(5, reception.answers().getFirst().orThrow().getFirst().remaining());
  }

  @Test
  void whatAnswersNoRequestOrGoesToAnotherPortIsPassedOver() throws IOException {
    reception.accept(message(Netlink.NLMSG_ERROR, 0, FIRST - 1, PORT, ack(-1)));
    reception.accept(message(Netlink.NLMSG_ERROR, 0, FIRST + 2, PORT, ack(-1)));
    reception.accept(message(Netlink.NLMSG_ERROR, 0, FIRST, PORT + 1, ack(-1)));
    assertFalse(reception.complete());
    reception.accept(message(Netlink.NLMSG_ERROR, 0, FIRST, PORT, ack(0)));
    reception.accept(message(Netlink.NLMSG_ERROR, 0, FIRST + 1, PORT, ack(0)));
    for (NetlinkAnswer answer : reception.answers()) {
      answer.orThrow();
    }
  }

  @Test
  void theKernelsWordsEndTheMessage() throws IOException {
    byte[] words = "Operation not supported for this device\0".getBytes(StandardCharsets.UTF_8);
    int length = Netlink.NLA_HDRLEN + words.length;
    var payload =
        ByteBuffer.allocate(4 + Netlink.NLMSG_HDRLEN + Netlink.align(length))
            .order(ByteOrder.nativeOrder());
    payload.putInt(0, -95).putInt(4, Netlink.NLMSG_HDRLEN);
    payload.putShort(20, (short) length).putShort(22, (short) Netlink.NLMSGERR_ATTR_MSG);
    payload.put(24, words);
    int flags = Netlink.NLM_F_CAPPED | Netlink.NLM_F_ACK_TLVS;
    reception.accept(message(Netlink.NLMSG_ERROR, flags, FIRST, PORT, payload));
    NetlinkException e =
        assertThrows(NetlinkException.class, reception.answers().getFirst()::orThrow);
    assertEquals("Operation not supported for this device", e.extendedAck());
    assertTrue(String.valueOf(e.getMessage()).contains(e.extendedAck()));
  }

  @Test
  void lengthsThatDoNotFitAreRefused() {
    ByteBuffer tooLong = message(RTM_NEWLINK, 0, FIRST, PORT, ByteBuffer.allocate(8));
    tooLong.putInt(0, 4000);
    assertThrows(MalformedMessageException.class, () -> reception.accept(tooLong));
    ByteBuffer tooShort = message(RTM_NEWLINK, 0, FIRST, PORT, ByteBuffer.allocate(8));
    tooShort.putInt(0, 3);
    assertThrows(MalformedMessageException.class, () -> reception.accept(tooShort));
    ByteBuffer noError = message(Netlink.NLMSG_ERROR, 0, FIRST, PORT, ByteBuffer.allocate(2));
    assertThrows(MalformedMessageException.class, () -> reception.accept(noError));
    ByteBuffer wrongAttribute = ByteBuffer.allocate(8).order(ByteOrder.nativeOrder());
    wrongAttribute.putShort(0, (short) 200);
    assertThrows(MalformedMessageException.class, () -> Attributes.read(wrongAttribute));
    wrongAttribute.putShort(0, (short) 2);
    assertThrows(MalformedMessageException.class, () -> Attributes.read(wrongAttribute));
  }

  @Test
  void aListThatChangedWhileItWasToldIsKnownAsSuch() throws IOException {
    assertFalse(reception.interrupted());
    reception.accept(message(Netlink.NLMSG_DONE, Netlink.NLM_F_DUMP_INTR, FIRST, PORT, ack(0)));
    assertTrue(reception.interrupted());
  }

  private static ByteBuffer ack(int error) {
    return ByteBuffer.allocate(4 + Netlink.NLMSG_HDRLEN)
        .order(ByteOrder.nativeOrder())
        .putInt(0, error);
  }

  private static ByteBuffer message(int type, int flags, int sequence, int port, ByteBuffer body) {
    int length = Netlink.NLMSG_HDRLEN + body.capacity();
    ByteBuffer message = ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
    message.putInt(0, length).putShort(4, (short) type).putShort(6, (short) flags);
    message.putInt(8, sequence).putInt(12, port);
    return message.put(Netlink.NLMSG_HDRLEN, body, 0, body.capacity());
  }
}
