package cni.netlink.ffm;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * What the kernel answered to one request.
 *
 * @param objects the payload of every message that it sent, without the header
 * @param error why it refused, if it did
 */
public record NetlinkAnswer(List<ByteBuffer> objects, Optional<NetlinkException> error) {
  /** Takes a copy of the list. */
  public NetlinkAnswer {
    objects = List.copyOf(objects);
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
    return objects;
  }
}
