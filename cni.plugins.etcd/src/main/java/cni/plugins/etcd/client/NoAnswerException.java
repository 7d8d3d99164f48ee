// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Why a member has not answered a request, which another member may answer. */
final class NoAnswerException extends Exception {
  private static final long serialVersionUID = 1;

  private final boolean isLasting;

  private NoAnswerException(String reason, boolean isLasting, @Nullable Throwable cause) {
    super(reason, cause);
    this.isLasting = isLasting;
  }

  /** Returns the reason, which continues the sentence that begins with the endpoint. */
  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }

  /** Returns the exception for a state that may soon end. */
  static NoAnswerException transientFailure(String reason, @Nullable Throwable cause) {
    return new NoAnswerException(reason, false, cause);
  }

  /** Returns the exception for a state that only a change of the configuration ends. */
  static NoAnswerException lasting(String reason, @Nullable Throwable cause) {
    return new NoAnswerException(reason, true, cause);
  }

  /** Returns whether it is useless to ask this member again. */
  boolean isLasting() {
    return isLasting;
  }
}
