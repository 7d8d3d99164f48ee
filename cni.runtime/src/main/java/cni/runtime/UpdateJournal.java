// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.FileRecycler;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/**
 * The updates in progress, in {@code <cache>/updating}: for each the desired entry, and under the
 * key {@code before} what was stored when it began. An entry remains if the process dies, or a
 * rollback or a completion fails; the next update or repair completes the update, and DEL removes
 * what either configuration has made. libcni does not read this directory.
 */
final class UpdateJournal {
  private static final String BEFORE = "before";

  private final CacheDirectory directory;
  private final TemporaryFiles temporary;

  /** Opens the journal; nothing is read or created yet. */
  UpdateJournal(Path cache, FileRecycler recycler) {
    this.directory = new CacheDirectory(cache.resolve("updating"), recycler);
    this.temporary = new TemporaryFiles(cache);
  }

  /**
   * An update.
   *
   * @param desired what it makes of the attachment, with the result that was planned: without what
   *     ADDs of new plugins report
   * @param before what was stored when it began, with its result
   */
  record Entry(CachedAttachment desired, CachedAttachment before) {
    private static Optional<Entry> read(ObjectNode json) {
      Optional<CachedAttachment> desired = ResultCacheEntry.read(json);
      return desired.isPresent() && json.get(BEFORE) instanceof ObjectNode before
          ? ResultCacheEntry.read(before).map(it -> new Entry(desired.get(), it))
          : Optional.empty();
    }
  }

  /**
   * Adds an entry, before the first change.
   *
   * @param desired with the planned result
   * @param before with its result
   * @throws CniException code 5 if it cannot be written
   */
  void add(ResultCacheEntry desired, ResultCacheEntry before) throws CniException {
    Path file = directory.file(desired);
    ObjectNode json = desired.json().deepCopy();
    json.set(BEFORE, before.json());
    try {
      directory.write(desired, Json.bytes(json), temporary);
    } catch (IOException e) {
      throw ResultCache.writeFailure(file, e);
    }
  }

  /**
   * Returns the entry of an interrupted update of an attachment. One that cannot be read is taken
   * for none.
   *
   * @throws CniException code 5 if it exists and cannot be read
   */
  Optional<Entry> get(String network, AttachmentId id) throws CniException {
    try {
      return directory.read(network, id).flatMap(Entry::read);
    } catch (CniException e) {
      if (e.is(ErrorCode.DECODING_FAILURE)) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * Returns what all updates make of their attachments, as {@link CacheDirectory#list}.
   *
   * @throws CniException code 5 if the directory cannot be read
   */
  List<CachedAttachment> list() throws CniException {
    return directory.list(Optional.empty());
  }

  /**
   * Removes the entry of an attachment, if there is one.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void remove(String network, AttachmentId id) throws CniException {
    directory.remove(network, id);
  }
}
