// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.Excerpt;
import cni.api.internal.NullChecks;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;
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

  @SuppressWarnings("serial") // the lists of List.of and List.copyOf are serializable
  private final List<CheckFinding> findings;

  private @Nullable ConfigFault fault;

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
    this(code, message, details, List.of(), cause);
  }

  private CniException(
      int code,
      String message,
      String details,
      List<CheckFinding> findings,
      @Nullable Throwable cause) {
    super(Excerpt.ofMessage(requireNonNull(message, "message")), cause);
    this.code = code;
    this.details = Excerpt.ofDetails(requireNonNull(details, "details"));
    this.findings = findings;
  }

  /**
   * Returns the error of a CHECK (code 999). Its message has the text of every finding, its details
   * have a line for each. Findings with equal texts are one.
   *
   * @param found at least one finding
   */
  public static CniException ofFindings(List<CheckFinding> found) {
    return ofFindings(ErrorCode.INTERNAL.value(), found);
  }

  /**
   * Returns the error of a CHECK by several plugins.
   *
   * @param code the code of the first error
   * @param found at least one finding
   */
  public static CniException ofFindings(int code, List<CheckFinding> found) {
    NullChecks.requireElements(found, "found");
    List<CheckFinding> sorted = sorted(found);
    boolean several = sorted.stream().map(CheckFinding::plugin).distinct().count() > 1;
    String message =
        sorted.stream()
            .map(it -> several ? it.plugin() + ": " + it.text() : it.text())
            .collect(Collectors.joining("; "));
    String details =
        sorted.size() == 1
            ? ""
            : sorted.stream().map(CheckFinding::describe).collect(Collectors.joining("\n"));
    return new CniException(code, message, details, sorted, null);
  }

  /** Sorts by kind, so that causes come before their consequences, and removes duplicates. */
  private static List<CheckFinding> sorted(List<CheckFinding> found) {
    Map<String, CheckFinding> byText = new LinkedHashMap<>();
    found.forEach(it -> byText.putIfAbsent(it.text(), it));
    List<CheckFinding> sorted = new ArrayList<>(byText.values());
    sorted.sort((one, other) -> one.kind().compareTo(other.kind()));
    return List.copyOf(sorted);
  }

  /** Creates an error with a reserved code. */
  public CniException(ErrorCode code, String message) {
    this(requireNonNull(code, "code").value(), message, "", null);
  }

  /** Creates an error with a reserved code and a cause. */
  public CniException(ErrorCode code, String message, @Nullable Throwable cause) {
    this(requireNonNull(code, "code").value(), message, "", cause);
  }

  /**
   * Returns the error (code 11) for an interrupted thread, and sets its interrupt status again.
   *
   * @param action what the thread was doing, as in "waiting for the lock"
   */
  public static CniException interrupted(String action) {
    requireNonNull(action, "action");
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
    requireNonNull(reserved, "reserved");
    return code == reserved.value();
  }

  /** Returns the {@code details} of the error; often empty, never null. */
  public String details() {
    return details;
  }

  /**
   * Returns what CHECK has found, causes before their consequences; empty for any other error, and
   * for that of an executable.
   */
  public List<CheckFinding> findings() {
    return findings;
  }

  /** Returns this error with findings; code, message and details are kept. */
  public CniException withFindings(List<CheckFinding> found) {
    NullChecks.requireElements(found, "found");
    return copy(getMessage(), details, sorted(found));
  }

  private CniException copy(String newMessage, String newDetails, List<CheckFinding> found) {
    var copy = new CniException(code, newMessage, newDetails, found, getCause());
    copy.fault = fault;
    copy.setStackTrace(getStackTrace());
    for (Throwable suppressed : getSuppressed()) {
      copy.addSuppressed(suppressed);
    }
    return copy;
  }

  /** Returns the key of a configuration that this error is about; absent if it is about none. */
  public Optional<ConfigFault> fault() {
    return Optional.ofNullable(fault);
  }

  /** Sets the key that this new error is about, and returns it. */
  CniException withFault(ConfigFault key) {
    fault = key;
    return this;
  }

  /** Returns this error with the message {@code context: message}; all else is kept. */
  public CniException withContext(String context) {
    requireNonNull(context, "context");
    return copy(context + ": " + getMessage(), details, findings);
  }

  /** Returns this error with other details; all else is kept. */
  public CniException withDetails(String newDetails) {
    requireNonNull(newDetails, "newDetails");
    return copy(getMessage(), newDetails, findings);
  }

  /** Returns the error object of the specification. */
  public ObjectNode toJson(SpecVersion version) {
    requireNonNull(version, "version");
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
