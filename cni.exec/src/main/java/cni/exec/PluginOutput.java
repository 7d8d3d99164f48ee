// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.Excerpt;
import java.nio.file.Path;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads what an executable printed: a result, or an error in the form of SPEC section 5, "Error".
 */
final class PluginOutput {
  private final String type;
  private final Path executable;

  PluginOutput(String type, Path executable) {
    this.type = type;
    this.executable = executable;
  }

  /** Returns how messages name the plugin. */
  String description() {
    return type + " (" + executable + ")";
  }

  /**
   * Parses the result of a call that exited with status 0.
   *
   * @throws CniException the error, if an error was printed nevertheless; code 6 if no JSON object
   *     was printed
   */
  ObjectNode parse(PluginProcess.ExitResult exit) throws CniException {
    if (exit.stdout().isBlank()) {
      throw new CniException(
          ErrorCode.DECODING_FAILURE, description() + " ended with success but printed no result");
    }
    if (exit.stdout().strip().equals("null")) {
      return Json.object(); // as decoded by the Go library
    }
    ObjectNode json;
    try {
      json = Json.parse(exit.stdout(), "the output of " + description());
    } catch (CniException e) {
      throw new CniException(e.code(), e.getMessage() + ": " + excerpt(exit.stdout()), "", e);
    }
    if (isError(json)) {
      throw errorOf(json);
    }
    return json;
  }

  /**
   * Returns the error of a call that failed: the printed error (SPEC section 5, "Error") or, if
   * there is none, an error that quotes the output.
   */
  CniException failureOf(PluginProcess.ExitResult exit) {
    String stderrText = exit.stderr().strip();
    if (exit.stdout().isBlank()) {
      return new CniException(
          ErrorCode.INTERNAL.value(),
          description()
              + " "
              + exit.exitDescription()
              + " and printed no error"
              + (stderrText.isEmpty() ? "" : "; on standard error: " + Excerpt.of(stderrText)),
          stderrText,
          null);
    }
    try {
      ObjectNode json = Json.parse(exit.stdout(), description());
      if (isError(json) || json.path("msg").isString()) {
        return errorOf(json);
      }
    } catch (CniException e) {
      // reported below, with the output
    }
    return new CniException(
        ErrorCode.INTERNAL.value(),
        description()
            + " "
            + exit.exitDescription()
            + " and printed no error but: "
            + excerpt(exit.stdout()),
        stderrText,
        null);
  }

  private static boolean isError(ObjectNode json) {
    return json.path("code").isNumber() && json.path("code").asDouble() != 0;
  }

  private CniException errorOf(ObjectNode json) {
    int code = json.path("code").asInt(0);
    return new CniException(
        code == 0 ? ErrorCode.INTERNAL.value() : code,
        type + ": " + json.path("msg").asString("failed without a message"),
        json.path("details").asString(""),
        null);
  }

  private static String excerpt(String output) {
    return Json.quote(output.strip());
  }
}
