// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.RegularFiles;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import cni.netlink.ffm.netns.NetNs;
import cni.policy.file.PolicyJson;
import cni.policy.tables.CutFlow;
import cni.policy.tables.StateChange;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import tools.jackson.databind.JsonNode;

/**
 * The data directory: the policies in force, the attachments and the guards.
 *
 * <p>A process that holds the lock sees what the last holder left. Reading a thousand files takes
 * tens of milliseconds, so each process keeps what it has read, with the count of changes at that
 * time, and reads again only if the count is another one.
 */
final class PolicyStore implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.policy");

  /** Serializes the threads of this process, of which flock(2) would wake any. */
  private static final ReentrantLock PROCESS_LOCK = new ReentrantLock(true);

  private static final Map<Path, Known> KNOWN = new ConcurrentHashMap<>();

  /** What a process has read. */
  private record Known(long changes, StoreContent content) {}

  private final Path data;
  private final StoreFiles files;
  private final Flock lock;
  private final ChangeJournal journal;
  private StoreContent content;

  private PolicyStore(Path data, Flock lock) throws IOException {
    this.data = data;
    this.files = new StoreFiles(data);
    this.lock = lock;
    this.journal = new ChangeJournal(files.changes());
    Known known = KNOWN.get(data);
    this.content =
        known != null && known.changes == journal.count() ? known.content : readContent();
  }

  /**
   * Locks the directory, which is created if it does not exist.
   *
   * @throws CniException code 11 if others hold the lock until the deadline, or the thread is
   *     interrupted; code 5 if the directory cannot be used
   */
  static PolicyStore lock(Path data, Deadline deadline) throws CniException {
    var files = new StoreFiles(data);
    boolean opened = false;
    try {
      if (!PROCESS_LOCK.tryLock(deadline.remaining().toNanos(), TimeUnit.NANOSECONDS)) {
        throw busy(files.lock());
      }
      try {
        AtomicFiles.createDirectories(files.endpoints());
        Flock lock = Flock.acquire(files.lock(), deadline.remaining());
        try {
          var store = new PolicyStore(data, lock);
          opened = true;
          return store;
        } finally {
          if (!opened) {
            lock.close();
          }
        }
      } finally {
        if (!opened) {
          PROCESS_LOCK.unlock();
        }
      }
    } catch (KernelException e) {
      throw e.is(Errno.EAGAIN) ? busy(files.lock()) : unusable(data, e);
    } catch (IOException e) {
      throw unusable(data, e);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for " + files.lock());
    }
  }

  /** Returns whether anything has been kept in a directory. */
  static boolean exists(Path data) {
    return Files.isDirectory(new StoreFiles(data).endpoints());
  }

  private static CniException busy(Path file) {
    return new CniException(
        ErrorCode.TRY_AGAIN_LATER, file + " was locked by others until the deadline");
  }

  private static CniException unusable(Path data, IOException e) {
    return new CniException(
        ErrorCode.IO_FAILURE,
        ("the data directory of policies, %s, cannot be used: %s; it must be writable and have"
                + " space, or set another dataDir in all networks")
            .formatted(data, IoErrors.describe(e)),
        e);
  }

  private StoreContent readContent() throws IOException {
    StoreContent read = StoreContent.read(files);
    KNOWN.put(data, new Known(journal.count(), read));
    return read;
  }

  /** Returns the state. */
  PolicyState state() {
    return content.state();
  }

  /** Returns whether it is known which policies are in force, be it none. */
  boolean hasPolicies() {
    return content.policies().isPresent();
  }

  /**
   * Returns whether the content of the kernel is not known: a change has not been finished, or a
   * file is missing or damaged.
   */
  boolean isUnfinished() {
    return !hasPolicies() || content.isDamaged() || journal.isUnfinished();
  }

  /**
   * Notes that the kernel is going to be changed. What the directory has of an earlier boot is
   * removed.
   *
   * @throws CniException code 5 if the directory cannot be written
   */
  void begin() throws CniException {
    try {
      journal.begin();
      if (content.isOfEarlierBoot()) {
        removeAll();
        content = readContent();
      }
    } catch (IOException e) {
      throw unusable(data, e);
    }
  }

  private void removeAll() throws IOException {
    Files.deleteIfExists(files.policies());
    Files.deleteIfExists(files.guards());
    Files.deleteIfExists(files.cuts());
    for (Path file : StoreContent.list(files.endpoints())) {
      Files.deleteIfExists(file);
    }
    Files.deleteIfExists(files.host()); // the last: until then the others are not read
  }

  /** Notes that the kernel and the directory agree. */
  void finish() throws IOException {
    journal.finish();
  }

  /**
   * Requires that the attachments are those of a host.
   *
   * @param host the host's network namespace
   * @throws CniException code 7 if they are those of another
   */
  void requireHost(NetNs.Identity host) throws CniException {
    HostMark mark = HostMark.of(host);
    Optional<HostMark> other =
        content.host().filter(it -> !it.namespace().equals(mark.namespace()));
    if (other.isPresent() && !content.state().endpoints().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          ("dataDir \"%s\" holds the attachments of another host network namespace (%s, not %s):"
                  + " give each its own dataDir, or remove the directory if that one is gone")
              .formatted(data, other.get().namespace(), mark.namespace()));
    }
  }

  /**
   * Removes attachments while it is not known which policies are in force. The next change, which
   * finds that out, compares the kernel.
   *
   * @throws IOException if a file cannot be deleted; the others may have been
   */
  void discard(Predicate<Endpoint.Id> isGone) throws IOException {
    for (Endpoint.Id id : attachments()) {
      if (isGone.test(id)) {
        Files.deleteIfExists(files.endpoint(id));
      }
    }
    content = readContent();
  }

  /** Returns all attachments, also those whose files are damaged. */
  Set<Endpoint.Id> attachments() throws IOException {
    Set<Endpoint.Id> all = new HashSet<>(content.state().endpoints().keySet());
    if (content.isDamaged()) {
      StoreContent.list(files.endpoints()).forEach(file -> StoreFiles.id(file).ifPresent(all::add));
    }
    return all;
  }

  /**
   * Keeps another state, after {@link #begin}.
   *
   * @param change the difference from the present state
   * @param host the host's network namespace
   * @throws CniException code 5 if a file cannot be written; the others may have been
   */
  void put(PolicyState next, StateChange change, NetNs.Identity host) throws CniException {
    HostMark mark = HostMark.of(host);
    try {
      write(next, change, mark);
      if (content.isDamaged()) {
        content = readContent(); // whether it still is
        return;
      }
    } catch (IOException e) {
      throw unusable(data, e);
    }
    content = StoreContent.of(mark, next);
    KNOWN.put(data, new Known(journal.count(), content));
  }

  /** Writes the files that differ. That of the attachment comes last: without it there is none. */
  private void write(PolicyState next, StateChange change, HostMark mark) throws IOException {
    PolicyState before = content.state();
    if (!content.host().equals(Optional.of(mark))) {
      AtomicFiles.writeInPlace(files.host(), mark.text().getBytes(StandardCharsets.US_ASCII));
    }
    if (!hasPolicies() || !before.policies().equals(next.policies())) {
      write(files.policies(), PolicyJson.of(next.policies()));
    }
    if (content.isDamaged()
        || !before.guards().equals(next.guards())
        || !before.exempt().equals(next.exempt())) {
      write(files.guards(), GuardsJson.write(next));
    }
    for (Endpoint.Id id : change.endpoints()) {
      Endpoint endpoint = next.endpoints().get(id);
      if (endpoint == null) {
        Files.deleteIfExists(files.endpoint(id));
      } else {
        write(files.endpoint(id), EndpointJson.write(endpoint));
      }
    }
  }

  /**
   * Returns the connections that are cut, with the time until which they are. If the file is
   * damaged, the kernel's sets have them.
   *
   * @throws IOException if the file cannot be read
   */
  Map<CutFlow, Instant> cuts() throws IOException {
    Path file = files.cuts();
    try {
      return CutsJson.read(Json.parse(RegularFiles.readState(file), file.toString()));
    } catch (NoSuchFileException e) {
      return Map.of();
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, file + " is damaged", e);
      return Map.of();
    }
  }

  /** Keeps the connections that are cut. */
  void putCuts(Map<CutFlow, Instant> cuts) throws IOException {
    if (cuts.isEmpty()) {
      Files.deleteIfExists(files.cuts());
    } else {
      write(files.cuts(), CutsJson.write(cuts));
    }
  }

  private void write(Path file, JsonNode json) throws IOException {
    AtomicFiles.write(file, files.temporary(), Json.bytes(json));
  }

  @Override
  public void close() {
    lock.close();
    PROCESS_LOCK.unlock();
  }
}
