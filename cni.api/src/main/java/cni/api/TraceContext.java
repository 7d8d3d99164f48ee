package cni.api;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The trace that a call belongs to, in the form in which it is handed to executables: the
 * environment variables TRACEPARENT, TRACESTATE and BAGGAGE, with the values that W3C Trace Context
 * and W3C Baggage define for the HTTP headers of those names. libcni passes it on the same way.
 *
 * @param variables those of the three that have a value
 */
public record TraceContext(Map<String, String> variables) {
  /** The names of the variables. */
  public static final List<String> NAMES = List.of("TRACEPARENT", "TRACESTATE", "BAGGAGE");

  /** No trace. */
  public static final TraceContext NONE = new TraceContext(Map.of());

  /** Keeps what belongs to a trace; other variables, and those without a value, are left out. */
  public TraceContext {
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
   * The context that a span of W3C Trace Context is in.
   *
   * @param traceparent such as {@code 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01}
   */
  public static TraceContext of(String traceparent) {
    return new TraceContext(Map.of("TRACEPARENT", traceparent));
  }
}
