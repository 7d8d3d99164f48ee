package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.internal.AtomicFiles;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;

/**
 * What tells whether a keeper is still there: a file that it holds locked. The kernel unlocks it
 * when its process ends, however it does.
 *
 * @param ownerId the keeper's
 * @param file the file
 * @param lock held
 */
record LeaseOwnerLock(String ownerId, Path file, Flock lock) implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  private static final String PREFIX = "keeper-";

  /**
   * Takes a new one.
   *
   * @throws CniException code 5 if the directory cannot be written to
   */
  static LeaseOwnerLock acquire(Path directory) throws CniException {
    String name = UUID.randomUUID().toString();
    Path file = directory.resolve(PREFIX + name);
    try {
      AtomicFiles.createDirectories(directory);
      return new LeaseOwnerLock(name, file, Flock.acquire(file, Duration.ZERO));
    } catch (IOException e) {
      throw LeaseDirectory.ioFailure("locking " + file, e);
    } catch (InterruptedException e) {
      throw CniException.interrupted("locking " + file);
    }
  }

  /**
   * Whether somebody has it. One that nobody has any more is removed.
   *
   * @throws CniException code 11 if the thread is interrupted
   */
  static boolean isHeld(Path directory, String name) throws CniException {
    Path file = directory.resolve(PREFIX + name);
    if (name.isEmpty() || name.indexOf('/') >= 0 || Files.notExists(file)) {
      return false;
    }
    try (Flock _ = Flock.acquireShared(file, Duration.ZERO)) { // as others may look, too
      Files.deleteIfExists(file);
      return false;
    } catch (KernelException e) {
      if (e.is(Errno.EAGAIN)) {
        return true;
      }
      throw LeaseDirectory.ioFailure("looking at " + file, e);
    } catch (IOException e) {
      return false; // unlocked, and cannot be deleted
    } catch (InterruptedException e) {
      throw CniException.interrupted("looking at " + file);
    }
  }

  @Override
  public void close() {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "left behind, unlocked: " + file, e);
    } finally {
      lock.close();
    }
  }
}
