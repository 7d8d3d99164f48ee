package cni.plugins.ipam.dhcp;

import java.io.IOException;

/** A server has said no: it does not know the binding, or does not grant it any more. */
final class LeaseRefusedException extends IOException {
  private static final long serialVersionUID = 1;

  LeaseRefusedException(String message) {
    super(message);
  }
}
