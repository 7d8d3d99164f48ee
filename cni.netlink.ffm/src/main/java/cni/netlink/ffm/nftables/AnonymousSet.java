// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;

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

  /** What the names of anonymous sets begin with. */
  static final String NAME_PREFIX = "__set";

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
    public static final Type ETHER_TYPE = new Type(10, 2);
    public static final Type PROTOCOL = new Type(12, 1);
    public static final Type PORT = new Type(13, 2);
    public static final Type ICMPV6_TYPE = new Type(29, 1);
    public static final Type INTERFACE_NAME = new Type(41, 16);

    private static final List<Type> ALL =
        List.of(
            IPV4_ADDRESS, IPV6_ADDRESS, ETHER_TYPE, PROTOCOL, PORT, ICMPV6_TYPE, INTERFACE_NAME);

    /** Returns the type of a number; empty if it is none of the constants. */
    static Optional<Type> ofNumber(int number) {
      return ALL.stream().filter(type -> type.number == number).findFirst();
    }

    /** Returns the number of registers of four bytes that a value takes. */
    int words() {
      return (length + 3) / 4;
    }
  }

  /**
   * An element of a set.
   *
   * @param key the value
   * @param isIntervalEnd whether the value is the first after a range
   */
  public record Element(Bytes key, boolean isIntervalEnd) {
    /** By key; a range ends before another one begins. */
    static final Comparator<Element> ORDER =
        (one, other) -> {
          int keys = one.key.compareUnsigned(other.key);
          return keys != 0 ? keys : Boolean.compare(other.isIntervalEnd, one.isIntervalEnd);
        };
  }

  /** Returns a set of single values, in ascending order. */
  static AnonymousSet ofValues(Type type, List<Bytes> values) {
    List<Element> elements = new ArrayList<>();
    values.forEach(value -> elements.add(new Element(value, false)));
    elements.sort(Element.ORDER);
    return new AnonymousSet(type, false, elements);
  }

  /** Returns a set of the same type; its elements keep the order that this one has. */
  AnonymousSet withElements(Set<Element> others) {
    if (Set.copyOf(elements).equals(others)) {
      return this;
    }
    List<Element> sorted = new ArrayList<>(others);
    sorted.sort(Element.ORDER);
    return new AnonymousSet(type, isInterval, sorted);
  }

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

  /** Reads the elements that a message of the kernel lists. */
  static List<Element> readElements(Attributes message) throws MalformedMessageException {
    List<Element> elements = new ArrayList<>();
    Optional<Attributes> list = message.nested(NFTA_SET_ELEM_LIST_ELEMENTS);
    if (list.isPresent()) {
      for (ByteBuffer item : list.get().all(NFTA_LIST_ELEM)) {
        Attributes element = Attributes.read(item);
        Optional<Attributes> key = element.nested(NFTA_SET_ELEM_KEY);
        Optional<byte[]> value =
            key.isEmpty() ? Optional.empty() : key.get().bytes(NFTA_DATA_VALUE);
        int flags = element.be32(NFTA_SET_ELEM_FLAGS).orElse(0);
        elements.add(
            new Element(
                Bytes.of(value.orElse(new byte[0])), (flags & NFT_SET_ELEM_INTERVAL_END) != 0));
      }
    }
    return elements;
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
