// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.InotifyWatch;
import cni.netlink.ffm.unix.SocketPoller;
import cni.plugins.support.NetNsSession;
import cni.policy.file.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Puts policies in force when the files in their directory change. The directory may be created,
 * removed or replaced at any time, also by changing a symbolic link to it. Files that are invalid
 * change nothing and are logged, once per change. Nothing happens on a host that has no attachment
 * with policies: the first one reads the directory itself.
 */
public final class PolicyWatch implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.policy");

  /** How long no file must have changed: editors and copies write several times. */
  private static final Duration SETTLE_TIME = Duration.ofMillis(200);

  /** The limit of all waits for further changes, if something changes files all the time. */
  private static final Duration MAX_SETTLE_TIME = Duration.ofSeconds(5);

  /**
   * How often the directory's identity is examined: inotify(7) reports neither that it is created
   * nor that a symbolic link to it changes.
   */
  private static final Duration CHECK_INTERVAL = Duration.ofSeconds(5);

  /** The time between two attempts to put policies in force. */
  private static final Duration RETRY_INTERVAL = Duration.ofSeconds(1);

  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);
  private static final Duration APPLY_TIMEOUT = Duration.ofMinutes(1);

  private final PolicyDirectories directories;
  private final Optional<Path> hostNamespace;
  private final SocketPoller poller;
  private final Thread thread;
  private volatile boolean closed;
  private @Nullable InotifyWatch watch;
  private Optional<Object> watched = Optional.empty();
  private String lastFailure = "";

  private PolicyWatch(
      PolicyDirectories directories, Optional<Path> hostNamespace, SocketPoller poller) {
    this.directories = directories;
    this.hostNamespace = hostNamespace;
    this.poller = poller;
    this.thread = Thread.ofPlatform().daemon().name("cni policy watch").unstarted(this::run);
  }

  /**
   * Starts to watch, on a thread of its own. At first it applies what has changed before.
   *
   * @param hostNamespace the path of the host's network namespace; absent for that of this process
   * @throws CniException code 999 if the process has no descriptors left
   */
  public static PolicyWatch start(PolicyDirectories directories, Optional<Path> hostNamespace)
      throws CniException {
    try {
      var watch = new PolicyWatch(directories, hostNamespace, SocketPoller.open());
      watch.thread.start();
      return watch;
    } catch (KernelException e) {
      throw IoErrors.failure("watching " + directories.policies(), e);
    }
  }

  private void run() {
    boolean isPending = true;
    try {
      while (!closed) {
        boolean isReplaced = reopen();
        isPending |= hasChanged() || isReplaced;
        if (isPending) {
          settle();
          isPending = !apply();
        }
        if (!closed) {
          poller.await(Optional.of(isPending ? RETRY_INTERVAL : CHECK_INTERVAL));
        }
      }
    } catch (IOException | RuntimeException e) {
      LOG.get().log(System.Logger.Level.ERROR, "changes of policies are no longer noticed", e);
    } catch (InterruptedException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "the watch of policies was interrupted", e);
    } finally {
      closeWatch();
    }
  }

  /** Watches the directory that is there now; returns whether it is another one than before. */
  private boolean reopen() {
    Optional<Object> present = identity();
    if (present.equals(watched)) {
      return false;
    }
    closeWatch();
    if (present.isEmpty()) {
      watched = present;
      return true;
    }
    try {
      InotifyWatch opened = InotifyWatch.open(directories.policies());
      watch = opened;
      poller.add(opened, 0);
      watched = present;
      return true;
    } catch (KernelException e) {
      report(directories.policies() + " cannot be watched: " + e.getMessage());
      return false;
    }
  }

  private Optional<Object> identity() {
    try {
      BasicFileAttributes attributes =
          Files.readAttributes(directories.policies(), BasicFileAttributes.class);
      return attributes.isDirectory()
          ? Optional.ofNullable(attributes.fileKey())
          : Optional.empty();
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      report(directories.policies() + " cannot be watched: " + IoErrors.describe(e));
      return Optional.empty();
    }
  }

  private boolean hasChanged() throws IOException {
    if (watch == null) {
      return false;
    }
    Optional<Set<String>> names = watch.pollChanges();
    if (names.isEmpty()) {
      closeWatch(); // the directory was removed or renamed, or too much has changed
    }
    return names.isEmpty() || !names.get().isEmpty();
  }

  private void closeWatch() {
    if (watch != null) {
      watch.close();
    }
    watch = null;
    watched = Optional.empty();
  }

  private void settle() throws IOException, InterruptedException {
    Deadline end = Deadline.after(MAX_SETTLE_TIME);
    do {
      Thread.sleep(SETTLE_TIME);
    } while (hasChanged() && end.remaining().isPositive());
  }

  /** Returns whether it is done: the policies are in force, or the files are invalid. */
  private boolean apply() {
    Deadline deadline = Deadline.after(APPLY_TIMEOUT);
    try (NetNsSession host = HostPolicies.openHost(hostNamespace, deadline)) {
      var policies = new HostPolicies(directories, host, deadline);
      if (policies.isUsed()) {
        log(policies.applyDirectory());
      }
      lastFailure = "";
      return true;
    } catch (CniException e) {
      report(
          "policies of " + directories.policies() + " cannot be put in force: " + e.getMessage());
      return e.is(ErrorCode.INVALID_CONFIG);
    }
  }

  private void log(PolicyUpdate update) {
    if (!update.isValid()) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "the policies before stay in force: " + Problem.join(update.files().problems()));
    } else if (!update.changes().isEmpty()) {
      String changes =
          update.changes().stream()
              .map(it -> it.policy() + " " + it.kind().name().toLowerCase(Locale.ROOT))
              .collect(Collectors.joining(", "));
      LOG.get().log(System.Logger.Level.INFO, "policies in force: " + changes);
    }
  }

  /** Logs a failure, which is tried again, unless it is the one that was logged last. */
  private void report(String failure) {
    if (!failure.equals(lastFailure)) {
      LOG.get().log(System.Logger.Level.WARNING, failure);
    }
    lastFailure = failure;
  }

  /** Ends the watch, after a change that is being applied. */
  @Override
  public void close() {
    closed = true;
    try {
      poller.wakeUp();
      if (thread.join(CLOSE_TIMEOUT)) {
        poller.close();
      }
    } catch (KernelException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "the watch of policies ends later", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
