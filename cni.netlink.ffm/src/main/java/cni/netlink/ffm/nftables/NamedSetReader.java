// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Reads a listed set: first its description, then messages about its elements.
 *
 * <p>A set that {@link NamedSet} cannot represent, such as a map of addresses, becomes one with
 * keys of type 0 and no elements, which is equal to none that a program wants.
 */
final class NamedSetReader {
  private static final int UNREADABLE = 0;
  private static final int KNOWN_FLAGS =
      NFT_SET_ANONYMOUS
          | NFT_SET_CONSTANT
          | NFT_SET_INTERVAL
          | NFT_SET_MAP
          | NFT_SET_TIMEOUT
          | NFT_SET_CONCAT;

  private final String name;
  private final int flags;
  private final int keyLength;
  private final AnonymousSet.Type type;
  private final NamedSet set;
  private final List<ListedElement> elements = new ArrayList<>();
  private boolean unreadable;

  private record ListedElement(
      Bytes key,
      Optional<Bytes> end,
      boolean isIntervalEnd,
      Optional<Expression.Verdict> verdict,
      PacketCount count) {}

  /**
   * Reads the description.
   *
   * @throws MalformedMessageException if an attribute is too short, or keys are too long
   */
  NamedSetReader(Attributes message) throws MalformedMessageException {
    name = message.string(NFTA_SET_NAME).orElse("");
    flags = message.be32(NFTA_SET_FLAGS).orElse(0);
    keyLength = message.be32(NFTA_SET_KEY_LEN).orElse(0);
    if (keyLength < 0 || keyLength > NFT_DATA_VALUE_MAXLEN) {
      throw new MalformedMessageException("a set with keys of " + keyLength + " bytes");
    }
    type = new AnonymousSet.Type(message.be32(NFTA_SET_KEY_TYPE).orElse(0), keyLength);
    boolean isMap = (flags & NFT_SET_MAP) != 0;
    int data = message.be32(NFTA_SET_DATA_TYPE).orElse(NFT_DATA_VERDICT);
    unreadable = (flags & ~KNOWN_FLAGS) != 0 || (isMap && data != NFT_DATA_VERDICT);
    set =
        new NamedSet(
            name,
            key(),
            (flags & NFT_SET_INTERVAL) != 0,
            isMap,
            message.has(NFTA_SET_EXPR),
            (flags & NFT_SET_TIMEOUT) != 0);
  }

  /** Creates a reader of elements of a known set. */
  NamedSetReader(NamedSet set) {
    this.set = set;
    name = set.name();
    flags = NamedSetMessages.flags(set);
    keyLength = set.paddedLength();
    type = new AnonymousSet.Type(NamedSetMessages.keyType(set), keyLength);
  }

  /**
   * Returns the types of the fields, or the type itself if it is no concatenation of known ones.
   */
  private List<AnonymousSet.Type> key() {
    List<AnonymousSet.Type> fields = new ArrayList<>();
    int words = 0;
    int mask = (1 << NamedSetMessages.TYPE_BITS) - 1;
    for (int rest = type.number(); rest != 0; rest >>>= NamedSetMessages.TYPE_BITS) {
      Optional<AnonymousSet.Type> field = AnonymousSet.Type.ofNumber(rest & mask);
      if (field.isEmpty()) {
        return List.of(type);
      }
      fields.addFirst(field.get());
      words += field.get().words();
    }
    return fields.size() > 1 && Integer.BYTES * words == keyLength ? fields : List.of(type);
  }

  String name() {
    return name;
  }

  /** Returns whether the set belongs to a rule. */
  boolean isAnonymous() {
    return (flags & NFT_SET_ANONYMOUS) != 0;
  }

  /** Returns whether elements may expire. */
  boolean hasTimeouts() {
    return set.hasTimeouts();
  }

  /**
   * Reads a message about elements.
   *
   * @throws MalformedMessageException if an attribute is too short, or a key has a wrong length
   */
  void accept(Attributes message) throws MalformedMessageException {
    Optional<Attributes> list = message.nested(NFTA_SET_ELEM_LIST_ELEMENTS);
    if (list.isEmpty()) {
      return;
    }
    for (ByteBuffer item : list.get().all(NFTA_LIST_ELEM)) {
      Attributes element = Attributes.read(item);
      Optional<Bytes> key = key(element, NFTA_SET_ELEM_KEY);
      int elementFlags = element.be32(NFTA_SET_ELEM_FLAGS).orElse(0);
      if (key.isEmpty() || (elementFlags & ~NFT_SET_ELEM_INTERVAL_END) != 0) {
        unreadable = true; // an element for all keys
        continue;
      }
      elements.add(
          new ListedElement(
              key.get(),
              key(element, NFTA_SET_ELEM_KEY_END),
              elementFlags != 0,
              verdict(element),
              count(element)));
    }
  }

  private Optional<Bytes> key(Attributes element, int attribute) throws MalformedMessageException {
    Optional<Attributes> data = element.nested(attribute);
    if (data.isEmpty()) {
      return Optional.empty();
    }
    byte[] key = data.get().bytes(NFTA_DATA_VALUE).orElse(new byte[0]);
    if (key.length != keyLength) {
      throw new MalformedMessageException(
          "a key of " + key.length + " bytes in a set of keys of " + keyLength);
    }
    return Optional.of(Bytes.of(withoutPadding(key)));
  }

  private byte[] withoutPadding(byte[] padded) {
    if (!set.isConcatenation()) {
      return padded;
    }
    byte[] key = new byte[set.length()];
    int from = 0;
    int to = 0;
    for (AnonymousSet.Type field : set.key()) {
      System.arraycopy(padded, from, key, to, field.length());
      from += Integer.BYTES * field.words();
      to += field.length();
    }
    return key;
  }

  private static Optional<Expression.Verdict> verdict(Attributes element)
      throws MalformedMessageException {
    Optional<Attributes> data = element.nested(NFTA_SET_ELEM_DATA);
    Optional<Attributes> verdict =
        data.isEmpty() ? Optional.empty() : data.get().nested(NFTA_DATA_VERDICT);
    return verdict.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new Expression.Verdict(
                verdict.get().be32(NFTA_VERDICT_CODE).orElse(0),
                verdict.get().string(NFTA_VERDICT_CHAIN).orElse("")));
  }

  private static PacketCount count(Attributes element) throws MalformedMessageException {
    Optional<Attributes> expression = element.nested(NFTA_SET_ELEM_EXPR);
    return expression.isEmpty()
        ? PacketCount.ZERO
        : PacketCount.read(expression.get()).orElse(PacketCount.ZERO);
  }

  /** Returns the set as one of a rule; its elements are in ascending order. */
  AnonymousSet anonymous() {
    List<AnonymousSet.Element> all = new ArrayList<>();
    for (ListedElement element : elements) {
      all.add(new AnonymousSet.Element(element.key, element.isIntervalEnd));
    }
    all.sort(AnonymousSet.Element.ORDER);
    return new AnonymousSet(type, set.isInterval(), all);
  }

  /** Returns the set with its elements. */
  TableContent.SetContent content() {
    Map<SetElement, PacketCount> counts = counts();
    NamedSet readable = set;
    if (unreadable) {
      var none = new AnonymousSet.Type(UNREADABLE, keyLength);
      readable = new NamedSet(name, List.of(none), false, false, false, false);
    }
    return new TableContent.SetContent(readable, counts.keySet());
  }

  /** Returns the elements with what they have counted. */
  Map<SetElement, PacketCount> counts() {
    if (unreadable) {
      return Map.of();
    }
    Map<SetElement, PacketCount> counts = HashMap.newHashMap(elements.size());
    if (set.isInterval() && !set.isConcatenation()) {
      addRanges(counts);
    } else {
      for (ListedElement element : elements) {
        Bytes last = element.end.orElse(element.key);
        counts.put(new SetElement(element.key, last, element.verdict), element.count);
      }
    }
    return Collections.unmodifiableMap(counts);
  }

  /** Joins the beginnings of ranges of a single field with their ends. */
  private void addRanges(Map<SetElement, PacketCount> counts) {
    List<ListedElement> sorted = new ArrayList<>(elements);
    sorted.sort(
        (one, other) -> {
          int keys = one.key.compareUnsigned(other.key);
          return keys != 0 ? keys : Boolean.compare(other.isIntervalEnd, one.isIntervalEnd);
        });
    ListedElement start = null;
    for (ListedElement element : sorted) {
      addRange(start, element.key.predecessor(), counts);
      start = element.isIntervalEnd ? null : element;
    }
    byte[] highest = new byte[keyLength];
    Arrays.fill(highest, (byte) 0xff);
    addRange(start, Bytes.of(highest), counts);
  }

  private static void addRange(
      @Nullable ListedElement start, Bytes last, Map<SetElement, PacketCount> counts) {
    if (start != null) {
      counts.put(new SetElement(start.key, last, start.verdict), start.count);
    }
  }
}
