package cni.plugins.ipam.hostlocal;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Which addresses are held and, by a hash, by whom: some 50 bytes for each, so that a process can
 * remember tens of thousands. Two holders may have the same hash; whoever asks looks closer.
 */
final class ReservationIndex {
  private static final int NONE = -1;
  private static final int FIRST_CAPACITY = 64;

  // One place in each of these for each address; places of removed ones are used again.
  private long[] high = new long[FIRST_CAPACITY];
  private long[] low = new long[FIRST_CAPACITY];
  private long[] holders = new long[FIRST_CAPACITY];
  private int[] nextByAddress = new int[FIRST_CAPACITY];
  private int[] nextByHolder = new int[FIRST_CAPACITY];

  // The first place of each chain.
  private int[] byAddress = emptyHeads(FIRST_CAPACITY);
  private int[] byHolder = emptyHeads(FIRST_CAPACITY);

  private int used;
  private int free = NONE;
  private int size;

  private static int[] emptyHeads(int count) {
    int[] heads = new int[count];
    Arrays.fill(heads, NONE);
    return heads;
  }

  int size() {
    return size;
  }

  boolean contains(AddressKey address) {
    return find(address) != NONE;
  }

  /** Notes a holder; one that the address had before is forgotten. */
  void put(AddressKey address, long holder) {
    remove(address);
    if (free == NONE && used == high.length) {
      grow();
    }
    int place = free == NONE ? used++ : free;
    free = place == free ? nextByAddress[place] : free;
    high[place] = address.high();
    low[place] = address.low();
    holders[place] = holder;
    link(place);
    size++;
  }

  void remove(AddressKey address) {
    int place = find(address);
    if (place != NONE) {
      unlink(byAddress, nextByAddress, headOf(address), place);
      unlink(byHolder, nextByHolder, headOf(holders[place]), place);
      nextByAddress[place] = free;
      free = place;
      size--;
    }
  }

  /** The addresses whose holder has that hash. */
  List<AddressKey> heldBy(long holder) {
    List<AddressKey> found = new ArrayList<>(1);
    for (int at = byHolder[headOf(holder)]; at != NONE; at = nextByHolder[at]) {
      if (holders[at] == holder) {
        found.add(new AddressKey(high[at], low[at]));
      }
    }
    return found;
  }

  /** Every address. */
  List<AddressKey> addresses() {
    List<AddressKey> all = new ArrayList<>(size);
    for (int head : byAddress) {
      for (int at = head; at != NONE; at = nextByAddress[at]) {
        all.add(new AddressKey(high[at], low[at]));
      }
    }
    return all;
  }

  /** The hash of who holds an address; without interface where the file names none. */
  static long holderHash(String containerId, @Nullable String interfaceName) {
    long hash = 1;
    for (int i = 0; i < containerId.length(); i++) {
      hash = 31 * hash + containerId.charAt(i);
    }
    hash = mix(hash);
    for (int i = 0; interfaceName != null && i < interfaceName.length(); i++) {
      hash = 31 * hash + interfaceName.charAt(i);
    }
    return hash;
  }

  private int find(AddressKey address) {
    int at = byAddress[headOf(address)];
    while (at != NONE && !(high[at] == address.high() && low[at] == address.low())) {
      at = nextByAddress[at];
    }
    return at;
  }

  private int headOf(AddressKey address) {
    return headOf(31 * address.high() + address.low());
  }

  private int headOf(long number) {
    return (int) (mix(number) >>> 33) & (byAddress.length - 1);
  }

  private static long mix(long number) {
    long mixed = number * 0x9e37_79b9_7f4a_7c15L;
    return mixed ^ mixed >>> 32;
  }

  private void link(int place) {
    int address = headOf(new AddressKey(high[place], low[place]));
    nextByAddress[place] = byAddress[address];
    byAddress[address] = place;
    int holder = headOf(holders[place]);
    nextByHolder[place] = byHolder[holder];
    byHolder[holder] = place;
  }

  private static void unlink(int[] heads, int[] next, int head, int place) {
    if (heads[head] == place) {
      heads[head] = next[place];
      return;
    }
    int before = heads[head];
    while (next[before] != place) {
      before = next[before];
    }
    next[before] = next[place];
  }

  /** Only when every place is in use. */
  private void grow() {
    int capacity = 2 * high.length;
    high = Arrays.copyOf(high, capacity);
    low = Arrays.copyOf(low, capacity);
    holders = Arrays.copyOf(holders, capacity);
    nextByAddress = new int[capacity];
    nextByHolder = new int[capacity];
    byAddress = emptyHeads(capacity);
    byHolder = emptyHeads(capacity);
    for (int place = 0; place < used; place++) {
      link(place);
    }
  }
}
