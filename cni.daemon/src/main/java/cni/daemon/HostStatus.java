// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import cni.api.Json;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a host is doing and has done.
 *
 * @param version the version of its build
 * @param callerVersion the version of the build that asks, if it is another one, whose calls are
 *     left to the image
 * @param pid its process id
 * @param started when it became ready
 * @param socket the path of its socket
 * @param draining whether it ends as soon as the requests in flight have ended
 * @param inFlight the number of requests that have been accepted and not answered yet
 * @param waiting how many of them wait for others
 * @param refused the number of requests that were left to the image of their callers
 * @param lastRefusal why the last of them was refused; empty if none was
 * @param residentKiB its resident memory in KiB; 0 if unknown
 * @param threads the number of its threads
 * @param calls the requests that have been served
 */
public record HostStatus(
    String version,
    Optional<String> callerVersion,
    long pid,
    Instant started,
    Path socket,
    boolean draining,
    int inFlight,
    int waiting,
    long refused,
    String lastRefusal,
    long residentKiB,
    int threads,
    List<Calls> calls) {
  private static final double MICROS_PER_MILLI = 1000;

  /**
   * Requests of one kind.
   *
   * @param name the plugin's type, or cni
   * @param verb the verb, or the subcommand
   * @param served how many have been served
   * @param failed how many of them with an error
   * @param p50 the median duration in microseconds, waiting included
   * @param p99 the duration that 99 of 100 did not exceed, in microseconds
   */
  public record Calls(String name, String verb, long served, long failed, long p50, long p99) {}

  /** Returns the resident memory of this process in KiB, from /proc/self/status; 0 if unknown. */
  static long ownResidentKiB() {
    return ownStatus("VmRSS:");
  }

  /** Returns the number of threads of this process; 0 if unknown. */
  static int ownThreads() {
    return (int) ownStatus("Threads:");
  }

  private static long ownStatus(String key) {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith(key)) {
          return Long.parseLong(line.substring(key.length()).replace("kB", "").strip());
        }
      }
    } catch (IOException | NumberFormatException e) {
      return 0; // proc(5) is not mounted, or hides it
    }
    return 0;
  }

  /** Prints the status, as JSON or as lines for people. */
  void print(PrintStream out, boolean asJson) {
    if (asJson) {
      Json.print(json(), out);
    } else {
      out.print(text());
    }
  }

  /** Returns the status as a JSON object; durations are in milliseconds. */
  public ObjectNode json() {
    ObjectNode json =
        Json.object()
            .put("version", version)
            .put("pid", pid)
            .put("started", started.truncatedTo(ChronoUnit.SECONDS).toString())
            .put("socket", socket.toString())
            .put("draining", draining)
            .put("inFlight", inFlight)
            .put("waiting", waiting)
            .put("refused", refused)
            .put("lastRefusal", lastRefusal)
            .put("residentKiB", residentKiB)
            .put("threads", threads);
    callerVersion.ifPresent(it -> json.put("callerVersion", it));
    ArrayNode list = json.putArray("calls");
    for (Calls it : calls) {
      list.addObject()
          .put("name", it.name())
          .put("verb", it.verb())
          .put("served", it.served())
          .put("failed", it.failed())
          .put("p50", it.p50() / MICROS_PER_MILLI)
          .put("p99", it.p99() / MICROS_PER_MILLI);
    }
    return json;
  }

  /** Returns the status as lines for people. */
  public String text() {
    var text = new StringBuilder();
    Duration age = Duration.between(started, Instant.now()).truncatedTo(ChronoUnit.SECONDS);
    text.append(
        "cni %s, process %d, serves %s since %s (%s)%s%n"
            .formatted(
                version,
                pid,
                socket,
                started.truncatedTo(ChronoUnit.SECONDS),
                age.toString().substring(2).toLowerCase(Locale.ROOT),
                draining ? ", is about to end" : ""));
    callerVersion.ifPresent(
        it ->
            text.append(
                "this command is of another build, cni %s: its calls are refused and run the image until the host restarts%n"
                    .formatted(it)));
    text.append(
        "requests: %d in flight, %d of them waiting; %d served, %d failed; %d refused, which ran the image%n"
            .formatted(
                inFlight,
                waiting,
                calls.stream().mapToLong(Calls::served).sum(),
                calls.stream().mapToLong(Calls::failed).sum(),
                refused));
    if (!lastRefusal.isEmpty()) {
      text.append("last refused because: %s%n".formatted(lastRefusal));
    }
    text.append("memory: %d MiB resident, %d threads%n".formatted(residentKiB / 1024, threads));
    if (!calls.isEmpty()) {
      text.append(
          "%n%-12s %-8s %9s %9s %9s %9s%n"
              .formatted("PLUGIN", "VERB", "SERVED", "FAILED", "P50 MS", "P99 MS"));
    }
    for (Calls it : calls) {
      text.append(
          "%-12s %-8s %9d %9d %9.2f %9.2f%n"
              .formatted(
                  it.name(),
                  it.verb(),
                  it.served(),
                  it.failed(),
                  it.p50() / MICROS_PER_MILLI,
                  it.p99() / MICROS_PER_MILLI));
    }
    return text.toString();
  }
}
