// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Mutated datagrams: messages, acknowledgements and extended acknowledgements. */
class ResponseMutationTest {
  private static final int PORT = 77;
  private static final int FIRST = 10;
  private static final int RTM_NEWLINK = 16;
  private static final int RTM_GETLINK = 18;
  private static final int EEXIST = -17;

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void datagramsAreReadOrMalformed(boolean netfilterBatch) throws IOException {
    int capped = NetlinkConstants.NLM_F_CAPPED | NetlinkConstants.NLM_F_ACK_TLVS;
    byte[] text = attribute(NetlinkConstants.NLMSGERR_ATTR_MSG, "exists already");
    List<byte[]> datagrams =
        List.of(
            message(RTM_NEWLINK, 0, FIRST, attribute(3, "eth0")),
            message(NetlinkConstants.NLMSG_ERROR, capped, FIRST, join(error(EEXIST, 20), text)),
            message(
                NetlinkConstants.NLMSG_ERROR,
                NetlinkConstants.NLM_F_ACK_TLVS,
                FIRST,
                join(error(EEXIST, 24), new byte[8], text)),
            message(NetlinkConstants.NLMSG_DONE, capped, FIRST + 1, join(new byte[4], text)),
            join(
                message(RTM_NEWLINK, NetlinkConstants.NLM_F_MULTI, FIRST, attribute(3, "eth0")),
                message(NetlinkConstants.NLMSG_ERROR, 0, FIRST + 2, error(0, 16))));
    Mutations.test(
        datagrams,
        datagram -> {
          var collector = new ResponseCollector(requests(), netfilterBatch, PORT, FIRST);
          collector.accept(datagram);
          for (NetlinkResponse response : collector.responses()) {
            read(response);
          }
        });
  }

  private static List<NetlinkRequest> requests() {
    return List.of(
        new NetlinkRequest("first", RTM_NEWLINK, 0),
        new NetlinkRequest("get", RTM_GETLINK, 0),
        new NetlinkRequest("last", RTM_NEWLINK, 0));
  }

  private static void read(NetlinkResponse response) throws IOException {
    if (response.error().isPresent()) {
      assertThrows(NetlinkException.class, response::single);
    } else if (!response.payloads().isEmpty()) {
      Attributes.read(response.single());
    }
  }

  /** An extended acknowledgement that ends within the header of the request that it echoes. */
  @ParameterizedTest
  @ValueSource(ints = {4, 5, 6, 7, 8, 19})
  void shortExtendedAcknowledgementIsMalformed(int length) {
    byte[] error = new byte[length];
    ByteBuffer.wrap(error).order(ByteOrder.nativeOrder()).putInt(0, EEXIST);
    for (int flags : new int[] {0, NetlinkConstants.NLM_F_CAPPED}) {
      var collector = new ResponseCollector(requests(), false, PORT, FIRST);
      byte[] datagram =
          message(
              NetlinkConstants.NLMSG_ERROR, flags | NetlinkConstants.NLM_F_ACK_TLVS, FIRST, error);
      ByteBuffer buffer = ByteBuffer.wrap(datagram).order(ByteOrder.nativeOrder());
      assertThrows(MalformedMessageException.class, () -> collector.accept(buffer));
    }
  }

  @Test
  void responseWithoutTheRequestedObjectIsMalformed() throws IOException {
    var collector = new ResponseCollector(requests(), false, PORT, FIRST);
    byte[] ack = message(NetlinkConstants.NLMSG_ERROR, 0, FIRST + 2, error(0, 16));
    collector.accept(ByteBuffer.wrap(ack).order(ByteOrder.nativeOrder()));
    assertThrows(MalformedMessageException.class, collector.responses().get(1)::single);
  }

  /** struct nlmsgerr: error s32, then the header of the request. */
  private static byte[] error(int error, int requestLength) {
    ByteBuffer bytes = ByteBuffer.allocate(20).order(ByteOrder.nativeOrder());
    return bytes.putInt(error).putInt(requestLength).array();
  }

  private static byte[] attribute(int type, String text) {
    var request = new NetlinkRequest("", 0, 0).string(type, text);
    return Mutations.payload(request);
  }

  private static byte[] message(int type, int flags, int sequence, byte[] payload) {
    int length = NetlinkConstants.NLMSG_HDRLEN + payload.length;
    ByteBuffer message = ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
    message.putInt(length).putShort((short) type).putShort((short) flags);
    return message.putInt(sequence).putInt(PORT).put(payload).array();
  }

  private static byte[] join(byte[]... parts) {
    int length = 0;
    for (byte[] part : parts) {
      length += NetlinkConstants.align(part.length);
    }
    ByteBuffer joined = ByteBuffer.allocate(length);
    for (byte[] part : parts) {
      joined.put(part);
      joined.position(NetlinkConstants.align(joined.position()));
    }
    return joined.array();
  }
}
