package cni.api;

import cni.api.internal.Excerpt;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A failed operation: the error object of the specification (section 5, "Error") as an exception.
 * The message names the invalid key or object and the remedy.
 */
public final class CniException extends Exception {
  private static final long serialVersionUID = 1L;

  private final int code;
  private final String details;

  /**
   * Creates an error.
   *
   * @param code a reserved code of {@link ErrorCode}, or a plugin-specific code of 100 and above
   * @param message one sentence; of a longer one the first {@value Excerpt#MAX_MESSAGE_LENGTH}
   *     characters are kept
   * @param details further information, or the empty string; the first {@value
   *     Excerpt#MAX_DETAILS_LENGTH} characters are kept
   * @param cause the cause, if any
   */
  public CniException(int code, String message, String details, @Nullable Throwable cause) {
    super(Excerpt.ofMessage(message), cause);
    this.code = code;
    this.details = Excerpt.ofDetails(details);
  }

  /** Creates an error with a reserved code. */
  public CniException(ErrorCode code, String message) {
    this(code.value(), message, "", null);
  }

  /** Creates an error with a reserved code and a cause. */
  public CniException(ErrorCode code, String message, @Nullable Throwable cause) {
    this(code.value(), message, "", cause);
  }

  /**
   * Returns the error (code 11) for an interrupted thread, and sets its interrupt status again.
   *
   * @param action what the thread was doing, as in "waiting for the lock"
   */
  public static CniException interrupted(String action) {
    Thread.currentThread().interrupt();
    return new CniException(ErrorCode.TRY_AGAIN_LATER, "interrupted while " + action);
  }

  /** Returns the message, which is never null. */
  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }

  /** Returns the error code; see {@link ErrorCode} for the reserved ones. */
  public int code() {
    return code;
  }

  /** Returns whether this error has the given reserved code. */
  public boolean is(ErrorCode reserved) {
    return code == reserved.value();
  }

  /** Returns the {@code details} of the error; often empty, never null. */
  public String details() {
    return details;
  }

  /** Returns this error with the message {@code context: message}; all else is kept. */
  public CniException withContext(String context) {
    return copy(context + ": " + getMessage(), details);
  }

  /** Returns this error with other details; all else is kept. */
  public CniException withDetails(String newDetails) {
    return copy(getMessage(), newDetails);
  }

  private CniException copy(String newMessage, String newDetails) {
    var outer = new CniException(code, newMessage, newDetails, getCause());
    outer.setStackTrace(getStackTrace());
    for (Throwable suppressed : getSuppressed()) {
      outer.addSuppressed(suppressed);
    }
    return outer;
  }

  /** Returns the error object of the specification. */
  public ObjectNode toJson(SpecVersion version) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("cniVersion", version.toString());
    json.put("code", code);
    json.put("msg", getMessage());
    if (!details.isEmpty()) {
      json.put("details", details);
    }
    return json;
  }
}
