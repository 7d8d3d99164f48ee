package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.*;

import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * An anonymous set: the values that a single rule looks up, created and deleted with that rule.
 *
 * @param type the type of the elements
 * @param isInterval whether the set consists of ranges (NFT_SET_INTERVAL), each of which is two
 *     elements: its first value, and as interval end the value after its last
 * @param elements the elements; those of an interval set in ascending order
 */
public record AnonymousSet(Type type, boolean isInterval, List<Element> elements) {
  /** The name of an anonymous set; the kernel replaces {@code %d} by a number. */
  static final String NAME_TEMPLATE = "__set%d";

  /** Copies the list. */
  public AnonymousSet {
    elements = List.copyOf(elements);
  }

  /**
   * A data type of nft(8), enum datatypes of its datatype.h.
   *
   * @param number the number of the data type
   * @param length the length of a value in bytes
   */
  public record Type(int number, int length) {
    public static final Type IPV4_ADDRESS = new Type(7, 4);
    public static final Type IPV6_ADDRESS = new Type(8, 16);
    public static final Type PROTOCOL = new Type(12, 1);
    public static final Type PORT = new Type(13, 2);
    public static final Type INTERFACE_NAME = new Type(41, 16);
  }

  /**
   * An element of a set.
   *
   * @param key the value
   * @param isIntervalEnd whether the value is the first after a range
   */
  public record Element(Bytes key, boolean isIntervalEnd) {}

  /**
   * Returns the requests that create the set, for a rule that follows in the same transaction.
   *
   * @param id a number by which the rule refers to the set, unique in the transaction
   */
  List<NetlinkRequest> requests(Table table, int id) {
    int flags = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT;
    String description = "add a set to table \"" + table + "\"";
    NetlinkRequest set =
        NetfilterMessages.nftRequest(
                description, NFT_MSG_NEWSET, NetlinkConstants.NLM_F_CREATE, table.family().number())
            .string(NFTA_SET_TABLE, table.name())
            .string(NFTA_SET_NAME, NAME_TEMPLATE)
            .be32(NFTA_SET_FLAGS, isInterval ? flags | NFT_SET_INTERVAL : flags)
            .be32(NFTA_SET_KEY_TYPE, type.number())
            .be32(NFTA_SET_KEY_LEN, type.length())
            .be32(NFTA_SET_ID, id)
            .bytes(NFTA_SET_USERDATA, byteOrder())
            .nest(NFTA_SET_DESC, size -> size.be32(NFTA_SET_DESC_SIZE, elements.size()));
    NetlinkRequest content =
        NetfilterMessages.nftRequest(
                description,
                NFT_MSG_NEWSETELEM,
                NetlinkConstants.NLM_F_CREATE,
                table.family().number())
            .string(NFTA_SET_ELEM_LIST_TABLE, table.name())
            .string(NFTA_SET_ELEM_LIST_SET, NAME_TEMPLATE)
            .be32(NFTA_SET_ELEM_LIST_SET_ID, id)
            .nest(NFTA_SET_ELEM_LIST_ELEMENTS, this::writeElements);
    return List.of(set, content);
  }

  /**
   * Returns the user data that states the byte order of the keys, NFTNL_UDATA_SET_KEYBYTEORDER of
   * libnftnl/udata.h. Without it nft shows interface names as empty.
   */
  private byte[] byteOrder() {
    int order =
        type.equals(Type.INTERFACE_NAME) ? 1 : 2; // byte order of the host, or of the network
    ByteBuffer userdata = ByteBuffer.allocate(6).order(ByteOrder.nativeOrder());
    userdata.put((byte) 0).put((byte) 4).putInt(order);
    return userdata.array();
  }

  private void writeElements(NetlinkRequest message) {
    for (Element element : elements) {
      message.nest(NFTA_LIST_ELEM, item -> write(element, item));
    }
  }

  private static void write(Element element, NetlinkRequest message) {
    if (element.isIntervalEnd()) {
      message.be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
    }
    message.nest(NFTA_SET_ELEM_KEY, key -> key.bytes(NFTA_DATA_VALUE, element.key().toArray()));
  }
}
