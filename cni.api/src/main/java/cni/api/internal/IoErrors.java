package cni.api.internal;

import cni.api.CniException;
import cni.api.ErrorCode;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;

/** Messages for I/O exceptions. */
public final class IoErrors {
  private IoErrors() {}

  /**
   * Returns the error (code 999) for an action that failed.
   *
   * @param action the action, such as "creating interface eth0"
   */
  public static CniException failure(String action, IOException e) {
    return new CniException(ErrorCode.INTERNAL, action + ": " + reason(e), e);
  }

  /**
   * Returns the reason for an exception as text. If a {@link FileSystemException} has no reason,
   * its message is only the name of the file.
   */
  public static String reason(IOException e) {
    String message = e.getMessage();
    if (message == null) {
      return e.toString();
    }
    if (!(e instanceof FileSystemException failed) || failed.getReason() != null) {
      return message;
    }
    if (e instanceof NoSuchFileException) {
      return message + " does not exist";
    }
    if (e instanceof AccessDeniedException) {
      return message + ": permission denied";
    }
    if (e instanceof FileAlreadyExistsException) {
      return message + " already exists";
    }
    return e.toString();
  }
}
