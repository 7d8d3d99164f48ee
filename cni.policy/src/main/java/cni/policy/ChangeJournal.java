// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.internal.AtomicFiles;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Counts the changes of a data directory, by which a process knows whether what it has read is
 * still so, and notes whether a change has been finished. A process that is killed while it changes
 * the files or the kernel leaves one that has not. To be used by the holder of the lock.
 */
final class ChangeJournal {
  private static final String UNFINISHED = " unfinished";

  private final Path file;
  private long count;
  private boolean isUnfinished;

  /**
   * Reads the file.
   *
   * @throws IOException if it cannot be read
   */
  ChangeJournal(Path file) throws IOException {
    this.file = file;
    try {
      String text = new String(RegularFiles.readState(file), StandardCharsets.US_ASCII);
      isUnfinished = text.endsWith(UNFINISHED);
      count = Long.parseLong(isUnfinished ? text.replace(UNFINISHED, "") : text);
    } catch (NoSuchFileException | NumberFormatException e) {
      // It is damaged, or the directory is new, possibly in place of one that a process has read:
      // no process must know the count.
      count = ThreadLocalRandom.current().nextLong(Long.MAX_VALUE / 2);
      isUnfinished = true;
    }
  }

  long count() {
    return count;
  }

  boolean isUnfinished() {
    return isUnfinished;
  }

  /** Notes that the files and the kernel are going to be changed. */
  void begin() throws IOException {
    count++;
    isUnfinished = true;
    write(count + UNFINISHED);
  }

  /** Notes that the kernel and the files agree. */
  void finish() throws IOException {
    write(Long.toString(count));
    isUnfinished = false;
  }

  private void write(String text) throws IOException {
    AtomicFiles.writeInPlace(file, text.getBytes(StandardCharsets.US_ASCII));
  }
}
