package cni.netlink.ffm;

import java.io.IOException;

/** A netlink message from the kernel whose lengths do not fit together. */
public final class MalformedMessageException extends IOException {
  private static final long serialVersionUID = 1L;

  /** Makes the exception. */
  public MalformedMessageException(String message) {
    super("malformed netlink message: " + message);
  }
}
