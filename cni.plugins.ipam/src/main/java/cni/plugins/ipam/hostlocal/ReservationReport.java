// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.AddressReport;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.plugins.ipam.range.AddressKey;
import cni.plugins.ipam.range.RangeSet;
import cni.plugins.ipam.range.RangeSets;
import java.math.BigInteger;
import java.net.InetAddress;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Lists the reservations of a directory, for an operator. Used while the directory's lock is held.
 *
 * @param ranges the ranges of the configuration
 * @param files the directory
 */
record ReservationReport(RangeSets ranges, ReservationFiles files) {
  private static final Comparator<InetAddress> BY_ADDRESS = Comparator.comparing(AddressKey::of);

  /** Returns the report of a directory that does not exist: no address is reserved. */
  static AddressReport ofNothing(RangeSets ranges) {
    return new AddressReport(pools(ranges, List.of()), List.of(), List.of(), List.of(), List.of());
  }

  /**
   * Reads the directory.
   *
   * @throws CniException code 5 if it cannot be read
   */
  AddressReport read() throws CniException {
    ReservationFiles.Contents contents = files.read();
    List<InetAddress> reserved =
        Stream.concat(contents.holders().keySet().stream(), contents.unreadable().stream())
            .distinct()
            .sorted(BY_ADDRESS)
            .toList();
    return new AddressReport(
        pools(ranges, reserved),
        List.of(),
        List.of(),
        holders(reserved, contents.holders()),
        problems(reserved, contents));
  }

  private static List<AddressReport.Pool> pools(RangeSets ranges, List<InetAddress> reserved) {
    Map<RangeSet, Long> used = new HashMap<>();
    for (InetAddress address : reserved) {
      ranges.index().find(address).ifPresent(set -> used.merge(set, 1L, Long::sum));
    }
    return ranges.sets().stream()
        .map(
            set ->
                new AddressReport.Pool(
                    set.toString(), set.size(), BigInteger.valueOf(used.getOrDefault(set, 0L))))
        .toList();
  }

  /**
   * Returns a holder for each attachment, and one for each address of another holder, in the order
   * of their first addresses.
   */
  private List<AddressReport.Holder> holders(
      List<InetAddress> reserved, Map<InetAddress, ReservationHolder> holderOf) {
    Map<AttachmentId, List<InetAddress>> byAttachment = new LinkedHashMap<>();
    List<AddressReport.Holder> holders = new ArrayList<>();
    for (InetAddress address : reserved) {
      Optional<ReservationHolder> holder = Optional.ofNullable(holderOf.get(address));
      Optional<AttachmentId> id = holder.flatMap(ReservationHolder::attachment);
      if (id.isPresent()) {
        byAttachment.computeIfAbsent(id.get(), _ -> new ArrayList<>()).add(address);
      } else {
        Optional<String> text = holder.map(ReservationHolder::excerpt);
        holders.add(holder(Optional.empty(), text, List.of(address)));
      }
    }
    byAttachment.forEach(
        (id, addresses) -> holders.add(holder(Optional.of(id), Optional.empty(), addresses)));
    holders.sort(Comparator.comparing(it -> it.addresses().getFirst(), BY_ADDRESS));
    return holders;
  }

  private AddressReport.Holder holder(
      Optional<AttachmentId> id, Optional<String> name, List<InetAddress> addresses) {
    Optional<Instant> since =
        addresses.stream()
            .map(files::modifiedAt)
            .flatMap(Optional::stream)
            .min(Comparator.naturalOrder());
    return new AddressReport.Holder(id, name, Optional.empty(), addresses, since);
  }

  private List<String> problems(List<InetAddress> reserved, ReservationFiles.Contents contents) {
    List<String> problems = new ArrayList<>();
    addProblem(
        problems,
        "addresses are reserved that are in none of the ranges: ",
        reserved.stream().filter(it -> !ranges.contains(it)).toList(),
        "deleting their attachments releases them");
    addProblem(
        problems,
        "files in " + files.directory() + " cannot be read: ",
        contents.unreadable(),
        "the addresses count as reserved until the files are removed");
    addProblem(
        problems,
        "files name no attachment: ",
        reserved.stream().filter(it -> isInvalid(contents.holders().get(it))).toList(),
        "GC releases the addresses");
    addProblem(
        problems,
        "files are incomplete: ",
        contents.incomplete(),
        "the addresses are free, and GC removes the files");
    return problems;
  }

  /** Returns whether there is a holder that no plugin has written: no DEL releases its address. */
  private static boolean isInvalid(@Nullable ReservationHolder holder) {
    return holder != null && !holder.isContainer() && holder.attachment().isEmpty();
  }

  private static void addProblem(
      List<String> problems, String what, Collection<InetAddress> addresses, String consequence) {
    if (!addresses.isEmpty()) {
      List<String> sorted =
          addresses.stream().distinct().sorted(BY_ADDRESS).map(InetAddresses::format).toList();
      problems.add(what + RangeSet.abbreviate(sorted, ", ") + "; " + consequence);
    }
  }
}
