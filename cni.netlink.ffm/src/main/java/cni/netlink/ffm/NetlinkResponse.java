package cni.netlink.ffm;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * What the kernel answered to one request.
 *
 * @param payloads the payload of every message that it sent, without the header
 * @param error why it refused, if it did
 */
public record NetlinkResponse(List<ByteBuffer> payloads, Optional<NetlinkException> error) {
  /** Takes a copy of the list. */
  public NetlinkResponse {
    payloads = List.copyOf(payloads);
  }

  /**
   * The objects, if the kernel did not refuse.
   *
   * @throws NetlinkException if it did
   */
  public List<ByteBuffer> orThrow() throws NetlinkException {
    if (error.isPresent()) {
      throw error.get();
    }
    return payloads;
  }
}
