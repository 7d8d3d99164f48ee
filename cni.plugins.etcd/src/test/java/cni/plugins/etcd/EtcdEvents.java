// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * The history of a prefix of keys in etcd, read by {@code etcdctl watch} from the first revision
 * on, or from the oldest that has not been compacted.
 *
 * <p>{@link #read} may be called several times, such as before each compaction; it returns all
 * revisions that it has ever read.
 */
final class EtcdEvents implements HistorySource {
  /**
   * A key outside the prefix that each reading writes: the watch has delivered all that came before
   * when it delivers this write.
   */
  private static final String END_MARKER = "end of history";

  private static final long TIMEOUT_SECONDS = 60;

  private final EtcdCluster cluster;
  private final String prefix;
  private final List<Revision> revisions = new ArrayList<>();
  private long next = 1;

  /**
   * Creates a reader.
   *
   * @param prefix the prefix of the keys
   */
  EtcdEvents(EtcdCluster cluster, String prefix) {
    this.cluster = cluster;
    this.prefix = prefix;
  }

  /**
   * Reads the revisions since the last call.
   *
   * @throws IOException if they do not arrive within a minute
   * @throws IllegalStateException if the cluster has been restored to an earlier revision since
   */
  @Override
  public List<Revision> read() throws IOException, InterruptedException {
    long end = revisionOf(Etcdctl.json(cluster.etcdctl("put", END_MARKER, "", "-w=json")));
    if (end < next) {
      throw new IllegalStateException("revision " + end + " follows " + (next - 1));
    }
    List<Revision> read = watch(end);
    if (read == null) { // compacted
      read = watch(end);
    }
    if (read == null) {
      throw new IOException("the revisions have been compacted while they were read");
    }
    revisions.addAll(read);
    next = end + 1;
    return List.copyOf(revisions);
  }

  /** Returns the events until a revision; null after a compaction, then {@link #next} is later. */
  private @Nullable List<Revision> watch(long end) throws IOException, InterruptedException {
    List<String> command =
        cluster.etcdctlCommand("watch", "", "--prefix", "--rev=" + next, "-w=json");
    Path errors = Files.createTempFile("etcdctl-", ".errors");
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(errors.toFile());
    builder.environment().keySet().removeIf(name -> name.startsWith("ETCD"));
    builder.environment().put("ETCDCTL_API", "3");
    Process process = builder.start();
    CompletableFuture.delayedExecutor(TIMEOUT_SECONDS, TimeUnit.SECONDS)
        .execute(process::destroyForcibly);
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      var changes = new TreeMap<Long, List<Event>>();
      for (String line; (line = lines.readLine()) != null; ) {
        JsonNode response = Etcdctl.json(line);
        long compacted = response.path("CompactRevision").asLong(0);
        if (compacted > 0) {
          startAt(compacted);
          return null;
        }
        if (addEvents(response, end, changes)) {
          List<Revision> read = new ArrayList<>();
          changes.forEach((number, events) -> read.add(new Revision(number, events)));
          return read;
        }
      }
      throw new IOException(
          "the watch ended before revision " + end + ": " + Files.readString(errors));
    } finally {
      process.destroyForcibly();
      Files.delete(errors);
    }
  }

  /** Returns whether the end has been reached. */
  private boolean addEvents(JsonNode response, long end, Map<Long, List<Event>> changes) {
    boolean complete = false;
    for (JsonNode event : response.path("Events")) {
      JsonNode pair = event.path("kv");
      long number = pair.path("mod_revision").asLong();
      String key = decode(pair.path("key"));
      boolean deleted = event.path("type").asInt(0) == 1; // absent for PUT
      if (number == end) {
        complete = true;
      } else if (number < end && key.startsWith(prefix)) {
        changes
            .computeIfAbsent(number, it -> new ArrayList<>())
            .add(new Event(key, deleted ? null : decode(pair.path("value"))));
      }
    }
    return complete;
  }

  /** Takes all keys at a revision as the changes of that revision. */
  private void startAt(long revision) throws IOException, InterruptedException {
    if (!revisions.isEmpty()) {
      throw new IOException("revisions before " + revision + " have been compacted unread");
    }
    JsonNode response =
        Etcdctl.json(cluster.etcdctl("get", prefix, "--prefix", "--rev=" + revision, "-w=json"));
    List<Event> events = new ArrayList<>();
    for (JsonNode pair : response.path("kvs")) {
      events.add(new Event(decode(pair.path("key")), decode(pair.path("value"))));
    }
    revisions.add(new Revision(revision, events));
    next = revision + 1;
  }

  private static String decode(JsonNode base64) {
    return new String(Base64.getDecoder().decode(base64.asString("")), StandardCharsets.UTF_8);
  }

  private static long revisionOf(JsonNode response) {
    return response.path("header").path("revision").asLong();
  }
}
