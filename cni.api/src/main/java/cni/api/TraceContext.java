// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The trace that a call belongs to, as the environment variables TRACEPARENT, TRACESTATE and
 * BAGGAGE of executables. Their values are those of the HTTP headers of W3C Trace Context and W3C
 * Baggage. libcni passes traces on in the same way.
 *
 * @param variables the variables that have a value, by name
 */
public record TraceContext(Map<String, String> variables) {
  /** The names of the variables. */
  public static final List<String> NAMES = List.of("TRACEPARENT", "TRACESTATE", "BAGGAGE");

  /** No trace. */
  public static final TraceContext NONE = new TraceContext(Map.of());

  /** Keeps those of the three variables that are not empty, and drops all other variables. */
  public TraceContext {
    requireNonNull(variables, "variables");
    Map<String, String> kept = new LinkedHashMap<>();
    for (String name : NAMES) {
      String value = variables.getOrDefault(name, "");
      if (!value.isEmpty() && value.indexOf('\0') < 0) {
        kept.put(name, value);
      }
    }
    variables = Map.copyOf(kept);
  }

  /**
   * Returns a trace context with a parent span only.
   *
   * @param traceparent a value such as {@code
   *     00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01}
   */
  public static TraceContext of(String traceparent) {
    requireNonNull(traceparent, "traceparent");
    return new TraceContext(Map.of("TRACEPARENT", traceparent));
  }
}
