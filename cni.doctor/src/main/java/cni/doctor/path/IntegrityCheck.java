// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.CniException;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;

/** Asks whether an attachment is as ADD made it, as CHECK does. */
@FunctionalInterface
public interface IntegrityCheck {
  /** Returns false if CHECK finds a difference. */
  boolean isIntact(CachedAttachment attachment);

  /** Returns the CHECK of a host's plugins. What has no CHECK counts as intact. */
  static IntegrityCheck of(Cni cni) {
    return attachment -> {
      try {
        cni.network(attachment.config()).check(attachment.attachment());
        return true;
      } catch (CniException e) {
        return e.findings().isEmpty();
      }
    };
  }
}
