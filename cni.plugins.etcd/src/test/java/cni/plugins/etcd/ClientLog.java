// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Json;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The calls of the clients of a test and their results. Several threads may record calls; several
 * processes have a file each. Times are those of {@link System#nanoTime}, which on Linux is
 * CLOCK_MONOTONIC and comparable between the processes of a machine.
 */
final class ClientLog implements AutoCloseable {
  /**
   * A call of the plugin. What removes a handle without a DEL, such as the removal of a node, is
   * recorded as DEL of each handle.
   */
  enum Operation {
    ADD,
    DEL
  }

  /** How a call ended. */
  enum Outcome {
    /** With a result. */
    SUCCESS,
    /** With an error that means that nothing has been changed, such as that the range is full. */
    FAILED,
    /** With an error, or not at all, so that the change may have been made or may be made later. */
    UNKNOWN
  }

  /**
   * A call.
   *
   * @param client the thread or process that made it
   * @param handle NETWORK/NODE/CONTAINER/IFNAME
   * @param start the time before it
   * @param end the time after it; {@link Long#MAX_VALUE} if it did not return
   * @param addresses the addresses that ADD returned, sorted as text, without prefix lengths, IPv6
   *     addresses not compressed
   * @param message the error; empty after a success
   */
  record Entry(
      String client,
      Operation operation,
      String handle,
      long start,
      long end,
      Outcome outcome,
      List<String> addresses,
      String message) {
    Entry {
      addresses = addresses.stream().map(Entry::canonical).sorted().toList();
    }

    /** Returns an address without its prefix length, as the checker of the history writes it. */
    private static String canonical(String address) {
      return InetAddress.ofLiteral(address.split("/", 2)[0]).getHostAddress();
    }

    boolean succeeded() {
      return outcome == Outcome.SUCCESS;
    }

    /** Returns whether this call ended before another began. */
    boolean precedes(Entry other) {
      return end < other.start;
    }

    @Override
    public String toString() {
      String result = succeeded() ? addresses.toString() : outcome + " " + message;
      return "%s %s by %s [%d, %d]: %s".formatted(operation, handle, client, start, end, result);
    }
  }

  private final Map<Integer, Entry> entries = new LinkedHashMap<>();
  private final @Nullable BufferedWriter file;
  private int lastId;

  /** Creates a log in memory. */
  ClientLog() {
    file = null;
  }

  /**
   * Creates a log that is also written to a file: each call as it begins, and again as it ends, so
   * that the calls of a killed process are known.
   */
  ClientLog(Path path) throws IOException {
    file = Files.newBufferedWriter(path, StandardOpenOption.CREATE_NEW);
  }

  /** Returns the name of a handle. */
  static String handle(String network, String node, String container, String ifName) {
    return String.join("/", network, node, container, ifName);
  }

  /** Returns the calls that have begun, those that have not ended with an unknown outcome. */
  synchronized List<Entry> entries() {
    return List.copyOf(entries.values());
  }

  /** Adds a call that has ended. */
  void add(Entry entry) {
    record(nextId(), entry);
  }

  /** A call that has begun. Exactly one of its methods is called as it ends. */
  final class Call {
    private final int id;
    private final Entry begun;

    private Call(int id, Entry begun) {
      this.id = id;
      this.begun = begun;
    }

    /** Records a result: the addresses of ADD, none of DEL. */
    void succeeded(List<String> addresses) {
      end(Outcome.SUCCESS, addresses, "");
    }

    /** Records an error that means that nothing has been changed. */
    void failed(String message) {
      end(Outcome.FAILED, List.of(), message);
    }

    /** Records an error after which the change may have been made. */
    void unknown(String message) {
      end(Outcome.UNKNOWN, List.of(), message);
    }

    private void end(Outcome outcome, List<String> addresses, String message) {
      record(
          id,
          new Entry(
              begun.client(),
              begun.operation(),
              begun.handle(),
              begun.start(),
              System.nanoTime(),
              outcome,
              addresses,
              message));
    }
  }

  /**
   * Records the beginning of a call by the current thread.
   *
   * @param handle NETWORK/NODE/CONTAINER/IFNAME
   */
  Call begin(Operation operation, String handle) {
    var begun =
        new Entry(
            "%d/%s".formatted(ProcessHandle.current().pid(), Thread.currentThread().getName()),
            operation,
            handle,
            System.nanoTime(),
            Long.MAX_VALUE,
            Outcome.UNKNOWN,
            List.of(),
            "did not return");
    int id = nextId();
    record(id, begun);
    return new Call(id, begun);
  }

  private synchronized int nextId() {
    return ++lastId;
  }

  private synchronized void record(int id, Entry entry) {
    entries.put(id, entry);
    if (file != null) {
      ObjectNode json = Json.object();
      json.put("id", id);
      json.put("client", entry.client());
      json.put("operation", entry.operation().name());
      json.put("handle", entry.handle());
      json.put("start", entry.start());
      json.put("end", entry.end());
      json.put("outcome", entry.outcome().name());
      entry.addresses().forEach(json.putArray("addresses")::add);
      json.put("message", entry.message());
      try {
        file.write(new String(Json.bytes(json), StandardCharsets.UTF_8) + "\n");
        file.flush();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Adds the calls of files of other processes, whose last line may be incomplete. */
  void addFiles(List<Path> files) throws IOException {
    for (Path path : files) {
      Map<Integer, Entry> calls = new LinkedHashMap<>();
      String text = Files.readString(path);
      text.substring(0, text.lastIndexOf('\n') + 1)
          .lines()
          .map(ClientLog::parse)
          .forEach(json -> calls.put(json.path("id").asInt(), entry(json)));
      calls.values().forEach(this::add);
    }
  }

  private static ObjectNode parse(String line) {
    try {
      return Json.parse(line, "client log");
    } catch (CniException e) {
      throw new IllegalArgumentException(line, e);
    }
  }

  private static Entry entry(ObjectNode json) {
    List<String> addresses = new ArrayList<>();
    for (JsonNode address : json.path("addresses")) {
      addresses.add(address.asString());
    }
    return new Entry(
        json.path("client").asString(),
        Operation.valueOf(json.path("operation").asString()),
        json.path("handle").asString(),
        json.path("start").asLong(),
        json.path("end").asLong(),
        Outcome.valueOf(json.path("outcome").asString()),
        addresses,
        json.path("message").asString());
  }

  /** Closes the file. */
  @Override
  public synchronized void close() throws IOException {
    if (file != null) {
      file.close();
    }
  }
}
