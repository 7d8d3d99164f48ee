// SPDX-License-Identifier: Apache-2.0
package cni.doctor.page;

import cni.doctor.traffic.AttachmentTraffic;
import cni.doctor.traffic.Quantity;
import cni.doctor.traffic.Shaping;
import cni.runtime.AttachmentPresence;
import java.util.Optional;

/** Words for an attachment, which the picture and the tables share. */
final class AttachmentText {
  /** Container engines make ids of 64 characters, and show the first 12. */
  private static final int MAX_ID = 20;

  private static final int SHORT_ID = 12;

  private AttachmentText() {}

  static boolean isPresent(AttachmentTraffic it) {
    return it.presence() == AttachmentPresence.PRESENT;
  }

  /** Returns the state with a sign, which does not need colours. */
  static String state(AttachmentTraffic it) {
    return switch (it.presence()) {
      case PRESENT ->
          it.statistics().filter(found -> !found.link().isUp()).isPresent() ? "○ down" : "● up";
      case NAMESPACE_GONE -> "▲ no namespace";
      case INTERFACE_GONE -> "▲ no interface";
      case UNKNOWN -> "? unknown";
    };
  }

  static String shortId(String id) {
    return id.length() <= MAX_ID ? id : id.substring(0, SHORT_ID) + "…";
  }

  /** Returns the limits; empty if there are none. */
  static String limits(AttachmentTraffic it) {
    return limit("in\u00a0", it.ingress())
        + (it.ingress().isPresent() && it.egress().isPresent() ? ", " : "")
        + limit("out\u00a0", it.egress());
  }

  private static String limit(String direction, Optional<Shaping> shaping) {
    return shaping.map(it -> direction + Quantity.withUnit(it.bitsPerSecond(), "bit/s")).orElse("");
  }
}
