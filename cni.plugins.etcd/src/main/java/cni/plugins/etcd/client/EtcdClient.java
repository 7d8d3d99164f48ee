// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.plugins.etcd.client.TxnResponse.Header;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A client of one cluster. Any thread may use it. All reads are linearizable: they see every write
 * that was acknowledged before them, by whichever member.
 *
 * <p>A request that a member does not answer is sent to the next one. A transaction may therefore
 * be performed although its first answer was lost: each has to compare the keys that it writes, and
 * then fails when it is sent again.
 *
 * <p>Methods throw {@link CniException} code 11 if no member answers before the deadline or {@link
 * EtcdOptions#timeout}, or the thread is interrupted; code 7 if etcd refuses the credentials, the
 * certificate or the access to keys; code 5 if it refuses the request otherwise; code 6 if the
 * answer is not one of etcd.
 */
public final class EtcdClient implements AutoCloseable {
  /** The number of keys in one response. A key with its value takes about 400 bytes. */
  private static final int PAGE = 5000;

  /** What a request has in place of a revision to read at the latest one. */
  private static final long LATEST = 0;

  private final EtcdEndpoints endpoints;

  private EtcdClient(EtcdEndpoints endpoints) {
    this.endpoints = endpoints;
  }

  /**
   * Creates a client, which connects at its first request.
   *
   * @throws CniException code 7 if a file for TLS cannot be read or is invalid
   */
  public static EtcdClient create(EtcdOptions options) throws CniException {
    return new EtcdClient(EtcdEndpoints.create(options));
  }

  /** Performs a transaction. */
  public TxnResponse commit(Txn txn, Deadline deadline) throws CniException {
    ObjectNode response = endpoints.post("/v3/kv/txn", txn.toJson(), deadline);
    boolean succeeded = response.path("succeeded").asBoolean(false);
    if (!succeeded && txn.isUnconditional()) {
      throw invalid("a failure of a transaction without comparisons");
    }
    List<List<KeyValue>> reads = new ArrayList<>();
    JsonNode responses = response.path("responses");
    List<Op> operations = txn.operations(succeeded);
    if (responses.size() != operations.size()) {
      throw invalid("%d responses to %d operations".formatted(responses.size(), operations.size()));
    }
    for (int i = 0; i < operations.size(); i++) {
      if (operations.get(i).isRead()) {
        JsonNode range = responses.path(i).path("response_range");
        if (!range.isObject()) {
          throw invalid("no response to a reading operation");
        }
        reads.add(keyValues(range));
      }
    }
    return new TxnResponse(header(response), succeeded, reads);
  }

  /**
   * Keys that were read at one revision.
   *
   * @param header the state of the store when the first page was read. Its revision is that of the
   *     keys for {@link #list}, and the latest one, which is no earlier, for {@link #listAt}
   * @param keys the keys, in their order
   */
  public record Listing(Header header, List<KeyValue> keys) {
    /** Copies the list. */
    public Listing {
      keys = List.copyOf(keys);
    }
  }

  /**
   * Reads all keys that begin with a prefix, in pages, at the latest revision. Starts again if that
   * is compacted between two pages.
   */
  public Listing list(String prefix, boolean keysOnly, Deadline deadline) throws CniException {
    while (true) {
      Optional<Listing> listing = listPages(prefix, keysOnly, LATEST, deadline);
      if (listing.isPresent()) {
        return listing.get();
      }
      deadline.check("all keys were read");
    }
  }

  /**
   * Reads all keys that begin with a prefix, in pages, at a given revision: the one at which the
   * caller has read other keys.
   *
   * @param revision a revision that the store has had
   * @return absent if etcd has compacted the revision: the caller starts again at the latest one
   */
  public Optional<Listing> listAt(String prefix, long revision, Deadline deadline)
      throws CniException {
    return listPages(prefix, false, revision, deadline);
  }

  /** Returns the keys; absent if the revision was compacted before all of them were read. */
  private Optional<Listing> listPages(
      String prefix, boolean keysOnly, long revision, Deadline deadline) throws CniException {
    try {
      return Optional.of(readPages(prefix, keysOnly, revision, deadline));
    } catch (CniException e) {
      if (e.getCause() instanceof CompactedException) {
        return Optional.empty();
      }
      throw e;
    }
  }

  private Listing readPages(String prefix, boolean keysOnly, long revision, Deadline deadline)
      throws CniException {
    List<KeyValue> all = new ArrayList<>();
    ObjectNode request = Json.object();
    request
        .put("key", Op.encode(prefix))
        .put("range_end", Op.encode(Op.endOf(prefix)))
        .put("limit", String.valueOf(PAGE))
        .put("revision", String.valueOf(revision))
        .put("keys_only", keysOnly);
    ObjectNode response = endpoints.post("/v3/kv/range", request, deadline);
    Header header = header(response);
    all.addAll(keyValues(response));
    if (revision == LATEST) {
      request.put("revision", String.valueOf(header.revision()));
    }
    while (response.path("more").asBoolean(false)) {
      if (!response.path("kvs").path(0).isObject()) {
        throw invalid("an empty page of keys");
      }
      request.put("key", Op.encode(all.getLast().key() + "\0"));
      response = endpoints.post("/v3/kv/range", request, deadline);
      all.addAll(keyValues(response));
    }
    return new Listing(header, all);
  }

  /** Creates a lease and returns its id. */
  public long grantLease(Duration ttl, Deadline deadline) throws CniException {
    ObjectNode request = Json.object().put("TTL", String.valueOf(ttl.toSeconds()));
    long id = endpoints.post("/v3/lease/grant", request, deadline).path("ID").asLong(0);
    if (id <= 0) {
      throw invalid("a lease without an id"); // a key with the lease 0 would stay
    }
    return id;
  }

  /**
   * Renews a lease.
   *
   * @return whether the lease exists; false if it has expired
   */
  public boolean keepAlive(long lease, Deadline deadline) throws CniException {
    ObjectNode request = Json.object().put("ID", String.valueOf(lease));
    ObjectNode response = endpoints.post("/v3/lease/keepalive", request, deadline);
    return response.path("result").path("TTL").asLong(0) > 0;
  }

  /** Ends a lease, which deletes its keys. Does nothing if it has expired. */
  public void revokeLease(long lease, Deadline deadline) throws CniException {
    ObjectNode request = Json.object().put("ID", String.valueOf(lease));
    try {
      endpoints.post("/v3/lease/revoke", request, deadline);
    } catch (CniException e) {
      if (!e.is(ErrorCode.IO_FAILURE)) { // otherwise: the lease does not exist any more
        throw e;
      }
    }
  }

  /** Opens a stream of responses of a watch, a line each. */
  InputStream openWatch(String prefix, long fromRevision, Deadline deadline) throws CniException {
    ObjectNode request = Json.object();
    request
        .putObject("create_request")
        .put("key", Op.encode(prefix))
        .put("range_end", Op.encode(Op.endOf(prefix)))
        .put("start_revision", String.valueOf(fromRevision));
    return endpoints.open("/v3/watch", request, deadline);
  }

  /** Returns the number of attempts to reach a member that have failed. */
  public int failures() {
    return endpoints.failures();
  }

  private static Header header(ObjectNode response) throws CniException {
    JsonNode json = response.path("header");
    var header = new Header(json.path("cluster_id").asString(""), json.path("revision").asLong(0));
    if (header.clusterId().isEmpty() || header.revision() <= 0) {
      throw invalid("a header without cluster or revision");
    }
    return header;
  }

  /** Returns the error (code 6) for an answer that etcd does not give. */
  private static CniException invalid(String what) {
    return new CniException(
        ErrorCode.DECODING_FAILURE,
        "the answer of etcd is invalid, it has " + what + ": check ipam.endpoints");
  }

  private static List<KeyValue> keyValues(JsonNode range) throws CniException {
    List<KeyValue> keys = new ArrayList<>();
    for (JsonNode it : range.path("kvs")) {
      keys.add(keyValue(it));
    }
    return keys;
  }

  /** Decodes a {@code KeyValue} of etcd's API (kv.proto). Zero and empty values are left out. */
  static KeyValue keyValue(JsonNode json) throws CniException {
    var keyValue =
        new KeyValue(
            decode(json.path("key").asString("")),
            decode(json.path("value").asString("")),
            json.path("mod_revision").asLong(0));
    if (keyValue.key().isEmpty() || keyValue.modRevision() <= 0) {
      throw invalid("a key without name or revision");
    }
    return keyValue;
  }

  private static String decode(String base64) throws CniException {
    try {
      return new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8);
    } catch (IllegalArgumentException e) {
      throw invalid("a key or value that is no base64 (" + e.getMessage() + ")");
    }
  }

  @Override
  public void close() {
    endpoints.close();
  }
}
