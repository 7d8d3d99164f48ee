// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.internal.IoErrors;
import cni.api.internal.RegularFiles;
import cni.runtime.CachedAttachment;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/** Examines what the cache says of attachments, against what exists. */
final class AttachmentExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.INTERFACE_GONE, AttachmentExaminations::interfaceGone),
          new Examination(
              FindingKind.RESERVATION_DIFFERS, AttachmentExaminations::reservationDiffers),
          new Examination(FindingKind.CHECK_FAILED, AttachmentExaminations::checkFailed),
          new Examination(FindingKind.ADD_INTERRUPTED, AttachmentExaminations::addInterrupted),
          new Examination(FindingKind.NAMESPACE_GONE, AttachmentExaminations::namespaceGone),
          new Examination(FindingKind.CACHE_UNREADABLE, AttachmentExaminations::cacheUnreadable));

  private AttachmentExaminations() {}

  private static void interfaceGone(HostView host, Findings findings)
      throws IOException, CniException {
    for (AttachmentView attachment : host.attachments()) {
      if (attachment.namespace().isPresent() && attachment.link().isEmpty()) {
        findings.ofAttachment(
            attachment,
            "the container has lost its interface",
            attachment.ip("link: no " + attachment.attachment().interfaceName()),
            "cni update " + attachment.arguments() + " --recreate");
      }
    }
  }

  private static void namespaceGone(HostView host, Findings findings)
      throws IOException, CniException {
    for (AttachmentView attachment : host.attachments()) {
      if (attachment.attachment().namespace().isPresent() && attachment.namespace().isEmpty()) {
        findings.ofAttachment(
            attachment,
            "the container has gone without DEL: its addresses and rules stay",
            attachment.namespaceName()
                + " is no network namespace; "
                + attachment.label()
                + " is in the cache",
            "cni gc " + attachment.network());
      }
    }
  }

  private static void reservationDiffers(HostView host, Findings findings)
      throws IOException, CniException {
    for (AttachmentView attachment : host.attachments()) {
      Optional<HostLocalRanges> ranges = ranges(attachment);
      if (ranges.isEmpty()) {
        continue;
      }
      List<Reservation> reservations = host.reservations(ranges.get());
      for (Cidr address : attachment.addresses()) {
        boolean isInRange =
            ranges.get().sets().stream()
                .flatMap(List::stream)
                .anyMatch(it -> it.contains(address.address()));
        Optional<Reservation> reservation =
            reservations.stream().filter(it -> it.address().equals(address.address())).findFirst();
        if (isInRange
            && reservation.filter(it -> it.isOf(attachment.attachment().id())).isEmpty()) {
          reportReservation(attachment, address, ranges.get(), reservation, findings);
        }
      }
    }
  }

  private static Optional<HostLocalRanges> ranges(AttachmentView attachment) {
    try {
      return HostLocalRanges.of(attachment.cached().config());
    } catch (CniException e) {
      return Optional.empty(); // not stored, or invalid: CHECK reports that
    }
  }

  private static void reportReservation(
      AttachmentView attachment,
      Cidr address,
      HostLocalRanges ranges,
      Optional<Reservation> reservation,
      Findings findings) {
    String text = InetAddresses.format(address.address());
    findings.ofAttachment(
        attachment,
        "the container's address is not reserved for it: another container may get it too",
        reservation.isEmpty()
            ? "%s has %s, there is no file %s/%s"
                .formatted(attachment.label(), text, ranges.directory(), text)
            : "%s has %s, which %s reserves for %s/%s"
                .formatted(
                    attachment.label(),
                    text,
                    reservation.get().file(),
                    reservation.get().containerId(),
                    reservation.get().interfaceName()),
        "cni repair " + attachment.arguments());
  }

  /** What a more specific examination has found of the attachment is not repeated. */
  private static void checkFailed(HostView host, Findings findings)
      throws IOException, CniException {
    for (AttachmentView attachment : host.present()) {
      if (!findings.includes(attachment) || findings.explainsFailedCheck(attachment)) {
        continue;
      }
      try {
        network(host, attachment).check(attachment.attachment());
      } catch (CniException e) {
        if (!e.is(ErrorCode.INCOMPATIBLE_VERSION)) { // no CHECK before 0.4.0
          findings.ofAttachment(
              attachment, describe(e), e.getMessage(), "cni repair " + attachment.arguments());
        }
      }
    }
  }

  /** Returns the first difference, which the others may follow from. */
  private static String describe(CniException e) {
    if (e.findings().isEmpty()) {
      return "CHECK fails: the attachment is not as ADD made it";
    }
    String first = e.findings().getFirst().text();
    int detail = first.indexOf(": "); // a list of rules, which the evidence has
    return "the attachment is not as ADD made it: "
        + (detail < 0 ? first : first.substring(0, detail));
  }

  /** Returns the network as of the ADD, or as it is configured now if that was not stored. */
  private static Network network(HostView host, AttachmentView attachment) throws CniException {
    CachedAttachment cached = attachment.cached();
    return cached.configText().isEmpty()
        ? host.cni().network(cached.network())
        : host.cni().network(cached.config());
  }

  private static void addInterrupted(HostView host, Findings findings)
      throws IOException, CniException {
    for (CachedAttachment cached : host.interruptedAdds()) {
      findings.ofNetwork(
          cached.network(),
          "a process died in the middle of ADD: what it made stays",
          "%s/%s is in %s"
              .formatted(
                  cached.attachment().containerId(),
                  cached.attachment().interfaceName(),
                  host.locations().cache().resolve("begun")),
          "cni gc " + cached.network());
    }
  }

  private static void cacheUnreadable(HostView host, Findings findings)
      throws IOException, CniException {
    Path directory = host.locations().cache().resolve("results");
    Set<String> known = new HashSet<>();
    for (AttachmentView it : host.attachments()) {
      known.add(
          it.network()
              + "-"
              + it.attachment().containerId()
              + "-"
              + it.attachment().interfaceName());
    }
    for (Path file : Directories.entries(directory)) {
      String name = String.valueOf(file.getFileName());
      Optional<String> objection = known.contains(name) ? Optional.empty() : objection(file);
      if (objection.isPresent()) {
        findings.ofHost(
            "a cached result cannot be read: DEL and CHECK of that attachment have no result",
            objection.get(),
            RemedyText.commented(
                (Files.isDirectory(file) ? "rm -r " : "rm ") + RemedyText.quoted(file),
                "\"cni gc\" of its network removes it as well, with what belongs to it"));
      }
    }
  }

  /** Returns why a file is no cached result; absent for the bare result of an old libcni. */
  private static Optional<String> objection(Path file) throws IOException {
    try {
      ObjectNode json = Json.parse(RegularFiles.readState(file), file.toString());
      return json.has("kind")
          ? Optional.of(file + " does not name the attachment that its name does")
          : Optional.empty();
    } catch (NoSuchFileException e) {
      return Optional.empty(); // DEL has removed it
    } catch (AccessDeniedException e) {
      throw e;
    } catch (FileSystemException e) { // a directory, a symbolic link
      return Optional.of(IoErrors.describe(e));
    } catch (CniException e) {
      return Optional.of(e.getMessage());
    }
  }
}
