// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import java.net.InetAddress;

/**
 * The cause of the error of an allocation whose requested address is reserved for another
 * attachment.
 */
final class AddressHeldException extends Exception {
  private static final long serialVersionUID = 1;

  private AddressHeldException(String message) {
    super(message);
  }

  /**
   * Returns the error (code 11).
   *
   * @param holder who holds the address
   */
  static CniException error(InetAddress address, String holder) {
    String message =
        "the requested address %s is held by %s".formatted(InetAddresses.format(address), holder);
    return new CniException(ErrorCode.TRY_AGAIN_LATER, message, new AddressHeldException(message));
  }

  /** Returns whether an allocation has failed because another attachment holds an address. */
  static boolean isCauseOf(CniException e) {
    return e.getCause() instanceof AddressHeldException;
  }
}
