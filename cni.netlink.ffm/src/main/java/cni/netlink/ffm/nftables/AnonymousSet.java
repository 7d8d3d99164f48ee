package cni.netlink.ffm.nftables;

import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * The values that a rule looks something up in; the set belongs to that rule alone.
 *
 * @param type what the values are
 * @param isInterval whether they are ranges, each told by its first value and the one after its
 *     last
 * @param elements the values, in the order of their numbers
 */
public record AnonymousSet(Type type, boolean isInterval, List<Element> elements) {
  /** What the kernel makes a name of, by putting in a number. */
  static final String NAME_TEMPLATE = "__set%d";

  /** Takes a copy of the list. */
  public AnonymousSet {
    elements = List.copyOf(elements);
  }

  /**
   * What values can be, by the numbers that nft(8) has for its data types.
   *
   * @param number the data type
   * @param length the values' length in bytes
   */
  public record Type(int number, int length) {
    public static final Type IPV4_ADDRESS = new Type(7, 4);
    public static final Type IPV6_ADDRESS = new Type(8, 16);
    public static final Type PROTOCOL = new Type(12, 1);
    public static final Type PORT = new Type(13, 2);
    public static final Type INTERFACE_NAME = new Type(41, 16);
  }

  /**
   * A value.
   *
   * @param key the value
   * @param isIntervalEnd whether a range ends before it
   */
  public record Element(Bytes key, boolean isIntervalEnd) {}

  /** The requests that make it, for the rule that follows in the same transaction. */
  List<NetlinkRequest> requests(Table table, int id) {
    int flags = NftablesConstants.NFT_SET_ANONYMOUS | NftablesConstants.NFT_SET_CONSTANT;
    String what = "add a set to table \"" + table + "\"";
    NetlinkRequest set =
        NftablesConstants.message(
                what,
                NftablesConstants.NFT_MSG_NEWSET,
                NetlinkConstants.NLM_F_CREATE,
                table.family())
            .string(NftablesConstants.NFTA_SET_TABLE, table.name())
            .string(NftablesConstants.NFTA_SET_NAME, NAME_TEMPLATE)
            .be32(
                NftablesConstants.NFTA_SET_FLAGS,
                isInterval ? flags | NftablesConstants.NFT_SET_INTERVAL : flags)
            .be32(NftablesConstants.NFTA_SET_KEY_TYPE, type.number())
            .be32(NftablesConstants.NFTA_SET_KEY_LEN, type.length())
            .be32(NftablesConstants.NFTA_SET_ID, id)
            .bytes(NftablesConstants.NFTA_SET_USERDATA, byteOrder())
            .nest(
                NftablesConstants.NFTA_SET_DESC,
                size -> size.be32(NftablesConstants.NFTA_SET_DESC_SIZE, elements.size()));
    NetlinkRequest content =
        NftablesConstants.message(
                what,
                NftablesConstants.NFT_MSG_NEWSETELEM,
                NetlinkConstants.NLM_F_CREATE,
                table.family())
            .string(NftablesConstants.NFTA_SET_ELEM_LIST_TABLE, table.name())
            .string(NftablesConstants.NFTA_SET_ELEM_LIST_SET, NAME_TEMPLATE)
            .be32(NftablesConstants.NFTA_SET_ELEM_LIST_SET_ID, id)
            .nest(NftablesConstants.NFTA_SET_ELEM_LIST_ELEMENTS, this::writeElements);
    return List.of(set, content);
  }

  /** Without it nft shows names as empty: NFTNL_UDATA_SET_KEYBYTEORDER of libnftnl/udata.h. */
  private byte[] byteOrder() {
    int order = type.equals(Type.INTERFACE_NAME) ? 1 : 2; // the host's, or the network's
    ByteBuffer userdata = ByteBuffer.allocate(6).order(ByteOrder.nativeOrder());
    userdata.put((byte) 0).put((byte) 4).putInt(order);
    return userdata.array();
  }

  private void writeElements(NetlinkRequest message) {
    for (Element element : elements) {
      message.nest(NftablesConstants.NFTA_LIST_ELEM, item -> write(element, item));
    }
  }

  private static void write(Element element, NetlinkRequest message) {
    if (element.isIntervalEnd()) {
      message.be32(
          NftablesConstants.NFTA_SET_ELEM_FLAGS, NftablesConstants.NFT_SET_ELEM_INTERVAL_END);
    }
    message.nest(
        NftablesConstants.NFTA_SET_ELEM_KEY,
        key -> key.bytes(NftablesConstants.NFTA_DATA_VALUE, element.key().toArray()));
  }
}
