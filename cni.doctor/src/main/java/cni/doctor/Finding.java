// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.AttachmentId;
import java.util.List;
import java.util.Optional;

/**
 * Something that is wrong.
 *
 * @param kind the kind, which has the severity
 * @param networks the names of the networks that are concerned; empty if it concerns the host, and
 *     so all of them
 * @param attachment the attachment that is concerned; absent if it is the whole network or host
 * @param container the name of the attachment's container for people: its id, or the name of its
 *     namespace; absent without an attachment
 * @param description what is wrong and what follows from it
 * @param evidence what shows it: a file, a kernel parameter, or a line as a command prints it
 * @param remedy the command that mends it, or what to change
 */
public record Finding(
    FindingKind kind,
    List<String> networks,
    Optional<AttachmentId> attachment,
    Optional<String> container,
    String description,
    String evidence,
    String remedy) {
  /** Copies the list. */
  public Finding {
    networks = List.copyOf(networks);
  }
}
