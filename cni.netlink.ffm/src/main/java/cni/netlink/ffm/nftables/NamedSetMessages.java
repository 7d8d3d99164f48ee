// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.*;

import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * Writes the messages about a named set of a table and its elements.
 *
 * <p>A range of concatenated fields is one element with NFTA_SET_ELEM_KEY_END, its highest key. A
 * range of a single field is two elements, as in an {@link AnonymousSet}: the kernel refuses
 * NFTA_SET_ELEM_KEY_END for them (nft_setelem_valid_key_end in net/netfilter/nf_tables_api.c).
 */
final class NamedSetMessages {
  /** The bytes of elements in one message; the list is an attribute, which 65,535 bytes limit. */
  private static final int MAX_LIST_BYTES = 60_000;

  // the type of data in a set's user data, and byte orders: libnftnl/udata.h, nft's datatype.h
  private static final int NFTNL_UDATA_SET_KEYBYTEORDER = 0;
  private static final int NFTNL_UDATA_SET_DATABYTEORDER = 1;
  private static final int BYTEORDER_INVALID = 0;
  private static final int BYTEORDER_HOST_ENDIAN = 1;
  private static final int BYTEORDER_BIG_ENDIAN = 2;

  /**
   * User data of a range up to the highest value, which has no end: NFTNL_UDATA_SET_ELEM_FLAGS with
   * NFTNL_SET_ELEM_F_INTERVAL_OPEN.
   */
  private static final byte[] OPEN_INTERVAL = openInterval();

  /** Bits of the number of a data type in the number of a concatenation of types. */
  static final int TYPE_BITS = 6;

  private final Table table;
  private final NamedSet set;

  NamedSetMessages(Table table, NamedSet set) {
    this.table = table;
    this.set = set;
  }

  /**
   * Returns the request that adds the set.
   *
   * @param id a number of the set, unique in the transaction
   */
  NetlinkRequest add(int id) {
    NetlinkRequest request =
        request("add set", NFT_MSG_NEWSET, NetlinkConstants.NLM_F_CREATE)
            .string(NFTA_SET_TABLE, table.name())
            .string(NFTA_SET_NAME, set.name())
            .be32(NFTA_SET_FLAGS, flags(set))
            .be32(NFTA_SET_KEY_TYPE, keyType(set))
            .be32(NFTA_SET_KEY_LEN, set.paddedLength())
            .be32(NFTA_SET_ID, id)
            .bytes(NFTA_SET_USERDATA, userdata());
    if (set.isVerdictMap()) {
      request.be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT).be32(NFTA_SET_DATA_LEN, 0);
    }
    if (set.isInterval() && set.isConcatenation()) {
      request.nest(NFTA_SET_DESC, desc -> desc.nest(NFTA_SET_DESC_CONCAT, this::writeFields));
    }
    if (set.hasCounters()) {
      request.nest(
          NFTA_SET_EXPR,
          counter -> counter.string(NFTA_EXPR_NAME, "counter").nest(NFTA_EXPR_DATA, data -> {}));
    }
    return request;
  }

  private static byte[] openInterval() {
    ByteBuffer userdata = ByteBuffer.allocate(6).order(ByteOrder.nativeOrder());
    return userdata.put((byte) 1).put((byte) Integer.BYTES).putInt(1).array();
  }

  /** Returns NFT_SET_*. */
  static int flags(NamedSet set) {
    int flags = set.isInterval() ? NFT_SET_INTERVAL : 0;
    flags |= set.isInterval() && set.isConcatenation() ? NFT_SET_CONCAT : 0;
    flags |= set.isVerdictMap() ? NFT_SET_MAP : 0;
    return set.hasTimeouts() ? flags | NFT_SET_TIMEOUT : flags;
  }

  /** Returns the number of the type of keys, for a concatenation composed as nft does. */
  static int keyType(NamedSet set) {
    int number = 0;
    for (AnonymousSet.Type field : set.key()) {
      number = number << TYPE_BITS | field.number();
    }
    return number;
  }

  private void writeFields(NetlinkRequest message) {
    for (AnonymousSet.Type field : set.key()) {
      message.nest(NFTA_LIST_ELEM, it -> it.be32(NFTA_SET_FIELD_LEN, field.length()));
    }
  }

  /** Returns the byte orders of keys and data, without which nft shows interface names as empty. */
  private byte[] userdata() {
    ByteBuffer userdata = ByteBuffer.allocate(set.isVerdictMap() ? 12 : 6);
    userdata.order(ByteOrder.nativeOrder());
    int order = BYTEORDER_INVALID; // of a concatenation: each type of a field has its own
    if (!set.isConcatenation()) {
      boolean isName = set.key().getFirst().equals(AnonymousSet.Type.INTERFACE_NAME);
      order = isName ? BYTEORDER_HOST_ENDIAN : BYTEORDER_BIG_ENDIAN;
    }
    userdata.put((byte) NFTNL_UDATA_SET_KEYBYTEORDER).put((byte) Integer.BYTES).putInt(order);
    if (set.isVerdictMap()) {
      userdata.put((byte) NFTNL_UDATA_SET_DATABYTEORDER).put((byte) Integer.BYTES);
      userdata.putInt(BYTEORDER_INVALID);
    }
    return userdata.array();
  }

  /** Returns the request that deletes the set. */
  NetlinkRequest delete() {
    return request("delete set", NFT_MSG_DELSET, 0)
        .string(NFTA_SET_TABLE, table.name())
        .string(NFTA_SET_NAME, set.name());
  }

  /** Returns the request that deletes all elements. */
  NetlinkRequest flush() {
    return elementRequest("flush set", NFT_MSG_DELSETELEM, 0);
  }

  /** Returns the requests that add elements, which expire after a timeout if one is given. */
  List<NetlinkRequest> addElements(Collection<SetElement> elements, Optional<Duration> timeout) {
    return elementRequests("add elements to set", NFT_MSG_NEWSETELEM, elements, timeout);
  }

  /** Returns the requests that delete elements. */
  List<NetlinkRequest> deleteElements(Collection<SetElement> elements) {
    return elementRequests(
        "delete elements of set", NFT_MSG_DELSETELEM, elements, Optional.empty());
  }

  private List<NetlinkRequest> elementRequests(
      String action, int type, Collection<SetElement> elements, Optional<Duration> timeout) {
    int flags = type == NFT_MSG_NEWSETELEM ? NetlinkConstants.NLM_F_CREATE : 0;
    List<SetElement> all = new ArrayList<>(elements);
    if (isSingleInterval()) {
      all.sort(SetElement.ORDER); // a set of ranges is a tree
    }
    List<NetlinkRequest> requests = new ArrayList<>();
    int next = 0;
    while (next < all.size()) {
      int end = next;
      for (int bytes = 0; end < all.size() && bytes < MAX_LIST_BYTES; end++) {
        bytes += maxBytes(all.get(end));
      }
      List<SetElement> part = all.subList(next, end);
      requests.add(
          elementRequest(action, type, flags)
              .nest(NFTA_SET_ELEM_LIST_ELEMENTS, list -> write(part, timeout, list)));
      next = end;
    }
    return requests;
  }

  /** Returns the request for one element. */
  NetlinkRequest get(SetElement element) {
    requireLength(element);
    return elementRequest("get an element of set", NFT_MSG_GETSETELEM, 0)
        .nest(
            NFTA_SET_ELEM_LIST_ELEMENTS,
            list -> list.nest(NFTA_LIST_ELEM, item -> writeKeys(element, item)));
  }

  private NetlinkRequest elementRequest(String action, int type, int flags) {
    return request(action, type, flags)
        .string(NFTA_SET_ELEM_LIST_TABLE, table.name())
        .string(NFTA_SET_ELEM_LIST_SET, set.name());
  }

  /** Returns an upper bound of the bytes of an element: its keys, and attributes of 60 bytes. */
  private int maxBytes(SetElement element) {
    int keys = 2 * (16 + set.paddedLength());
    return keys + 60 + element.verdict().map(verdict -> 8 + verdict.chain().length()).orElse(0);
  }

  private void write(
      List<SetElement> elements, Optional<Duration> timeout, NetlinkRequest message) {
    for (SetElement element : elements) {
      requireLength(element);
      message.nest(NFTA_LIST_ELEM, item -> write(element, timeout, item));
      if (isSingleInterval()) {
        Optional<Bytes> end = element.last().successor();
        end.ifPresent(key -> message.nest(NFTA_LIST_ELEM, item -> writeEnd(key, item)));
      }
    }
  }

  private boolean isSingleInterval() {
    return set.isInterval() && !set.isConcatenation();
  }

  private void requireLength(SetElement element) {
    if (element.first().length() != set.length() || element.last().length() != set.length()) {
      throw new IllegalArgumentException(
          "element " + element + " of set " + set.name() + " is not of " + set.key());
    }
    if (set.isVerdictMap() != element.verdict().isPresent()
        || (!set.isInterval() && !element.isSingle())) {
      throw new IllegalArgumentException("element " + element + " is not one of a set like " + set);
    }
  }

  private void write(SetElement element, Optional<Duration> timeout, NetlinkRequest message) {
    timeout.ifPresent(after -> message.be64(NFTA_SET_ELEM_TIMEOUT, after.toMillis()));
    writeKeys(element, message);
    if (isSingleInterval() && element.last().successor().isEmpty()) {
      message.bytes(NFTA_SET_ELEM_USERDATA, OPEN_INTERVAL);
    }
    element
        .verdict()
        .ifPresent(
            verdict ->
                message.nest(
                    NFTA_SET_ELEM_DATA,
                    data -> data.nest(NFTA_DATA_VERDICT, verdict::writeVerdict)));
  }

  private void writeKeys(SetElement element, NetlinkRequest message) {
    writeKey(NFTA_SET_ELEM_KEY, element.first(), message);
    if (set.isInterval() && set.isConcatenation()) {
      writeKey(NFTA_SET_ELEM_KEY_END, element.last(), message);
    }
  }

  private void writeEnd(Bytes key, NetlinkRequest message) {
    message.be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
    writeKey(NFTA_SET_ELEM_KEY, key, message);
  }

  private void writeKey(int attribute, Bytes key, NetlinkRequest message) {
    byte[] padded = pad(key);
    message.nest(attribute, value -> value.bytes(NFTA_DATA_VALUE, padded));
  }

  private byte[] pad(Bytes key) {
    byte[] values = key.toArray();
    if (!set.isConcatenation()) {
      return values;
    }
    byte[] padded = new byte[set.paddedLength()];
    int from = 0;
    int to = 0;
    for (AnonymousSet.Type field : set.key()) {
      System.arraycopy(values, from, padded, to, field.length());
      from += field.length();
      to += Integer.BYTES * field.words();
    }
    return padded;
  }

  private NetlinkRequest request(String action, int type, int flags) {
    return NetfilterMessages.nftRequest(
        action + " \"" + table + " " + set.name() + "\"", type, flags, table.family().number());
  }
}
