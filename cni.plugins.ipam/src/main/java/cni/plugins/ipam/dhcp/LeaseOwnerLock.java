// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.internal.AtomicFiles;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;

/**
 * A locked file that shows that the owner of leases is alive: the kernel unlocks it when the
 * owner's process ends in any way.
 *
 * @param ownerId the id of the owner
 * @param file the file, {@code keeper-<owner id>} in the lease directory
 * @param lock the lock, held until {@link #close}
 */
record LeaseOwnerLock(String ownerId, Path file, Flock lock) implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  private static final String PREFIX = "keeper-";

  /**
   * Creates and locks the file of a new owner.
   *
   * @throws CniException code 5 if the file cannot be created
   */
  static LeaseOwnerLock acquire(LeaseDirectory directory) throws CniException {
    String ownerId = UUID.randomUUID().toString();
    Path file = directory.path().resolve(PREFIX + ownerId);
    try {
      AtomicFiles.createDirectories(directory.path());
      try (Flock _ = directory.lock()) { // a file that is not locked yet looks like a dead owner's
        return new LeaseOwnerLock(ownerId, file, Flock.acquire(file, Duration.ZERO));
      }
    } catch (IOException e) {
      throw LeaseDirectory.ioFailure("locking " + file, e);
    } catch (InterruptedException e) {
      throw CniException.interrupted("locking " + file);
    }
  }

  /**
   * Whether the owner is alive. The file of a dead owner is deleted.
   *
   * @throws CniException code 5 if the file cannot be locked, code 11 if the thread is interrupted
   */
  static boolean isHeld(Path directory, String ownerId) throws CniException {
    if (ownerId.isEmpty() || ownerId.indexOf('/') >= 0 || ownerId.indexOf('\0') >= 0) {
      return false;
    }
    Path file = directory.resolve(PREFIX + ownerId);
    return Files.exists(file) && isHeld(file);
  }

  /**
   * Deletes the file of an owner that is not alive. Does nothing if it is another file.
   *
   * @throws CniException code 5 if the file cannot be locked, code 11 if the thread is interrupted
   */
  static void deleteIfDead(Path file) throws CniException {
    if (String.valueOf(file.getFileName()).startsWith(PREFIX)
        && Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      isHeld(file);
    }
  }

  private static boolean isHeld(Path file) throws CniException {
    // Shared: other processes may test it too.
    try (Flock _ = Flock.acquireExistingShared(file, Duration.ZERO).orElse(null)) {
      Files.deleteIfExists(file);
      return false;
    } catch (KernelException e) {
      if (e.is(Errno.EAGAIN)) {
        return true;
      }
      throw LeaseDirectory.ioFailure("testing the lock on " + file, e);
    } catch (IOException e) {
      return false; // it is unlocked, but cannot be deleted
    } catch (InterruptedException e) {
      throw CniException.interrupted("testing the lock on " + file);
    }
  }

  @Override
  public void close() {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "unlocked, but not deleted: " + file, e);
    } finally {
      lock.close();
    }
  }
}
