// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * The kernel's response to one request.
 *
 * @param payloads the messages that it sent before the acknowledgement, without their headers;
 *     empty for a request that only changes something
 * @param error the refusal; empty if the request succeeded
 */
public record NetlinkResponse(List<ByteBuffer> payloads, Optional<NetlinkException> error) {
  /** Copies the list. */
  public NetlinkResponse {
    payloads = List.copyOf(payloads);
  }

  /**
   * Returns the payload of a request for one object that succeeded.
   *
   * @throws NetlinkException {@link #error}, if there is one
   * @throws MalformedMessageException if the response has no payload
   */
  public ByteBuffer single() throws NetlinkException, MalformedMessageException {
    if (orThrow().isEmpty()) {
      throw new MalformedMessageException("a response without the object that was requested");
    }
    return payloads.getFirst();
  }

  /**
   * Returns the payloads of a request that succeeded.
   *
   * @throws NetlinkException {@link #error}, if there is one
   */
  public List<ByteBuffer> orThrow() throws NetlinkException {
    if (error.isPresent()) {
      throw error.get();
    }
    return payloads;
  }
}
