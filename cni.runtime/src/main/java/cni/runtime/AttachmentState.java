// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.NetworkConfig;

/**
 * What an attachment should be.
 *
 * @param config the configuration of its network
 * @param attachment the attachment with its arguments
 */
record AttachmentState(NetworkConfig config, Attachment attachment) {
  /**
   * Returns the state that a cache entry describes.
   *
   * @throws CniException code 6 or 7 if the configuration was not stored or is invalid
   */
  static AttachmentState of(CachedAttachment entry) throws CniException {
    return new AttachmentState(entry.config(), entry.attachment());
  }

  /** Returns whether plugins would get the same requests. */
  boolean isSameAs(AttachmentState other) {
    return config.json().equals(other.config.json()) && attachment.equals(other.attachment);
  }
}
