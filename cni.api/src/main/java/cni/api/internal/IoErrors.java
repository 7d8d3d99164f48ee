// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import cni.api.CniException;
import cni.api.ErrorCode;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.Objects;

/**
 * Messages for I/O exceptions. The message of most subclasses of {@link FileSystemException} is
 * only the name of the file.
 */
public final class IoErrors {
  private IoErrors() {}

  /**
   * Returns the error for an action that failed: code 11 if the thread was interrupted, otherwise
   * code 999.
   *
   * @param action the action, such as "creating interface eth0"
   */
  public static CniException failure(String action, IOException e) {
    if (e instanceof ClosedByInterruptException
        || (e instanceof InterruptedIOException && Thread.currentThread().isInterrupted())) {
      return CniException.interrupted(action);
    }
    return new CniException(ErrorCode.INTERNAL, action + ": " + describe(e), e);
  }

  /** Returns the reason of an I/O exception, with the name of the file if that is known. */
  public static String describe(Exception e) {
    if (e instanceof DirectoryIteratorException wrapper) {
      return describe(Objects.requireNonNull(wrapper.getCause()));
    }
    if (e instanceof NoSuchFileException) {
      return e.getMessage() + " does not exist";
    }
    if (e instanceof FileSystemException failed) {
      return failed.getReason() == null
          ? failed.getMessage() + ": " + reason(failed)
          : String.valueOf(failed.getMessage());
    }
    return reason(e);
  }

  /** Returns the reason of an I/O exception, for messages that already name the file. */
  public static String reason(Exception e) {
    if (e instanceof DirectoryIteratorException wrapper) {
      return reason(Objects.requireNonNull(wrapper.getCause()));
    }
    if (e instanceof NoSuchFileException) {
      return "no such file or directory";
    }
    if (e instanceof AccessDeniedException) {
      return "permission denied";
    }
    if (e instanceof FileAlreadyExistsException) {
      return "file exists";
    }
    String reason = e instanceof FileSystemException failed ? failed.getReason() : e.getMessage();
    return reason == null ? e.getClass().getSimpleName() : reason;
  }
}
