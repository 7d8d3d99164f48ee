// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;

/**
 * The delegates of one isolated call. When the call is abandoned its thread goes on, but the locks
 * of the operation are released: a DEL that it delegated from then on could release the address of
 * a new ADD of the same attachment. It therefore finds no delegates any more.
 */
final class RevocableDelegates implements Delegates {
  private final Delegates delegates;
  private volatile boolean revoked;

  RevocableDelegates(Delegates delegates) {
    this.delegates = delegates;
  }

  @Override
  public NetworkPlugin find(String type) throws CniException {
    if (revoked) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          "plugin " + type + " is not called: the call that delegates to it was abandoned");
    }
    return delegates.find(type);
  }

  /** Finds no delegates from now on. */
  void revoke() {
    revoked = true;
  }

  /** Returns a copy of the request with these delegates. */
  AttachmentRequest in(AttachmentRequest request) {
    return new AttachmentRequest(
        request.config(),
        request.attachment(),
        request.prevResult(),
        request.context().withDelegates(this));
  }

  /** Returns a copy of the request with these delegates. */
  GcRequest in(GcRequest request) {
    return new GcRequest(request.config(), request.valid(), request.context().withDelegates(this));
  }
}
