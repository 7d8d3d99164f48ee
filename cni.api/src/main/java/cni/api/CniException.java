package cni.api;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A failed operation: the specification's error (section 5) as an exception. The message is for the
 * person who has to mend it: it names the key or the thing that was wrong and says what would be
 * right.
 */
public final class CniException extends Exception {
  private static final long serialVersionUID = 1L;

  private final int code;
  private final String details;

  /**
   * Makes an error.
   *
   * @param code a reserved code of {@link ErrorCode} or a plugin's own, 100 and above
   * @param message one sentence
   * @param details what else helps to understand it, or the empty string
   * @param cause what brought it about, if anything
   */
  public CniException(int code, String message, String details, @Nullable Throwable cause) {
    super(message, cause);
    this.code = code;
    this.details = details;
  }

  /** Makes an error with a reserved code. */
  public CniException(ErrorCode code, String message) {
    this(code.value(), message, "", null);
  }

  /** Makes an error with a reserved code and a cause. */
  public CniException(ErrorCode code, String message, @Nullable Throwable cause) {
    this(code.value(), message, "", cause);
  }

  /**
   * The error for a thread that was interrupted while it waited for {@code what}. The thread's
   * interrupt status is set again.
   */
  public static CniException interrupted(String what) {
    Thread.currentThread().interrupt();
    return new CniException(ErrorCode.TRY_AGAIN_LATER, "interrupted while " + what);
  }

  /** What went wrong, for people; never null. */
  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }

  /** The code, for programs: see {@link ErrorCode}. */
  public int code() {
    return code;
  }

  /** Whether this error has that reserved code. */
  public boolean is(ErrorCode reserved) {
    return code == reserved.value();
  }

  /** The longer description; often empty. */
  public String details() {
    return details;
  }

  /** The same error, told from further out: {@code context: message}. The code is kept. */
  public CniException withContext(String context) {
    var outer = new CniException(code, context + ": " + getMessage(), details, getCause());
    outer.setStackTrace(getStackTrace());
    for (Throwable suppressed : getSuppressed()) {
      outer.addSuppressed(suppressed);
    }
    return outer;
  }

  /** The error as the specification's JSON object. */
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
