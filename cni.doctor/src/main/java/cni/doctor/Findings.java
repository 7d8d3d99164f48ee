// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** The findings of one kind; those that are out of scope are dropped. */
final class Findings {
  /** What CHECK reports of every attachment of a network, although it is one error. */
  private static final Set<FindingKind> SHARED_WITH_CHECK =
      EnumSet.of(
          FindingKind.BRIDGE_MISSING,
          FindingKind.BRIDGE_DOWN,
          FindingKind.BRIDGE_MTU_SMALL,
          FindingKind.BRIDGE_WITHOUT_ADDRESS,
          FindingKind.FORWARDING_OFF);

  /** Errors that leave an attachment without a usable link to the host. */
  private static final Set<FindingKind> LINK_BROKEN =
      EnumSet.of(
          FindingKind.BRIDGE_MISSING,
          FindingKind.BRIDGE_DOWN,
          FindingKind.INTERFACE_DOWN,
          FindingKind.PORT_DETACHED);

  private final FindingKind kind;
  private final Scope scope;
  private final List<Finding> earlier;
  private final List<Finding> found = new ArrayList<>();

  /**
   * Starts without findings.
   *
   * @param earlier those of the kinds that have been examined before
   */
  Findings(FindingKind kind, Scope scope, List<Finding> earlier) {
    this.kind = kind;
    this.scope = scope;
    this.earlier = earlier;
  }

  List<Finding> found() {
    return found;
  }

  /** Adds what concerns the host, and so all networks. */
  void ofHost(String description, String evidence, String remedy) {
    ofNetworks(List.of(), description, evidence, remedy);
  }

  /** Adds what concerns a network. */
  void ofNetwork(String network, String description, String evidence, String remedy) {
    ofNetworks(List.of(network), description, evidence, remedy);
  }

  /** Adds what concerns several networks. */
  void ofNetworks(List<String> networks, String description, String evidence, String remedy) {
    if (scope.includes(networks)) {
      found.add(
          new Finding(
              kind, networks, Optional.empty(), Optional.empty(), description, evidence, remedy));
    }
  }

  /** Adds what concerns an attachment. */
  void ofAttachment(AttachmentView attachment, String description, String evidence, String remedy) {
    if (includes(attachment)) {
      found.add(
          new Finding(
              kind,
              List.of(attachment.network()),
              Optional.of(attachment.attachment().id()),
              Optional.of(attachment.container()),
              description,
              evidence,
              remedy));
    }
  }

  /** Returns whether the scope is the whole host, not one network. */
  boolean scopeIsHost() {
    return scope.network().isEmpty();
  }

  /** Returns whether an attachment is in the scope. */
  boolean includes(AttachmentView attachment) {
    return scope.includes(attachment.network(), attachment.attachment());
  }

  /**
   * Returns whether an earlier finding is that the link of an attachment to the host is broken.
   * Lost routes and unusable addresses follow from that, and are not reported beside it.
   */
  boolean isLinkBroken(AttachmentView attachment) {
    return earlier.stream()
        .filter(it -> LINK_BROKEN.contains(it.kind()))
        .filter(it -> it.networks().contains(attachment.network()))
        .anyMatch(
            it -> it.attachment().filter(id -> !id.equals(attachment.attachment().id())).isEmpty());
  }

  /**
   * Returns whether another examination has found an error that CHECK of an attachment reports as
   * well: one of the attachment, or one of its bridge or of forwarding.
   */
  boolean explainsFailedCheck(AttachmentView attachment) {
    return earlier.stream()
        .filter(it -> it.kind().severity() == Severity.ERROR)
        .filter(it -> it.networks().contains(attachment.network()))
        .anyMatch(
            it ->
                it.attachment().isEmpty()
                    ? SHARED_WITH_CHECK.contains(it.kind())
                    : it.attachment().get().equals(attachment.attachment().id()));
  }
}
