// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import java.net.InetAddress;
import java.util.List;
import java.util.Optional;

/**
 * The path of a packet and what became of it.
 *
 * @param query the packet
 * @param sourceAddress its source address; empty if it could not be sent
 * @param fate what became of it
 * @param finding what stops it, or the answer; with {@link Fate#ARRIVES} that nothing listens;
 *     otherwise empty
 * @param steps the path in its order
 * @param notes what else is remarkable; what could not be examined
 */
public record PathReport(
    PathQuery query,
    Optional<InetAddress> sourceAddress,
    Fate fate,
    Optional<PathFinding> finding,
    List<PathStep> steps,
    List<String> notes) {
  /** Copies the lists. */
  public PathReport {
    steps = List.copyOf(steps);
    notes = List.copyOf(notes);
  }
}
