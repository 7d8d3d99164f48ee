// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import java.io.IOException;

/** Thrown when a server refuses a lease: it has no record of it, or no address to grant. */
final class LeaseRefusedException extends IOException {
  private static final long serialVersionUID = 1;

  LeaseRefusedException(String message) {
    super(message);
  }
}
