// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.TraceContext;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * One run of an executable in a network namespace, with the bytes that {@link ChildProcess} writes
 * to its standard input. The process is killed if it does not end by the deadline.
 */
final class PluginProcess {
  /** A result has a few kilobytes; this bounds the memory that a broken plugin can make us use. */
  private static final int MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

  /** How long to retry while the file is being written (ETXTBSY). The Go library waits as long. */
  private static final Duration BUSY_TIMEOUT = Duration.ofSeconds(5);

  private static final long BUSY_RETRY_MILLIS = 20;

  /** The variables of a call. This process may have some too, of the call that it serves. */
  private static final List<String> CALL_VARIABLES =
      List.of(
          "CNI_COMMAND",
          "CNI_CONTAINERID",
          "CNI_NETNS",
          "CNI_IFNAME",
          "CNI_ARGS",
          "CNI_PATH",
          "CNI_NETNS_OVERRIDE");

  private static final LazyLogger LOG = new LazyLogger("cni.exec");

  private final Path executable;
  private final ChildEnvironment environment;
  private final byte[] input;

  private PluginProcess(
      Path executable, ChildEnvironment inherited, Map<String, String> environment, byte[] input) {
    this.executable = executable;
    this.environment = withoutOwnCall(inherited, environment).with(environment);
    this.input = input;
  }

  private static ChildEnvironment inherit(CallerContext caller) {
    ChildEnvironment environment = ChildEnvironment.empty().with(caller.environment());
    return Files.isDirectory(caller.directory()) ? environment.in(caller.directory()) : environment;
  }

  /** Returns an inherited environment without the variables of its own call and trace. */
  private static ChildEnvironment withoutOwnCall(
      ChildEnvironment inherited, Map<String, String> environment) {
    ChildEnvironment kept = inherited;
    for (String name : CALL_VARIABLES) {
      kept = kept.withoutPrefix(name + "=");
    }
    if (!Collections.disjoint(environment.keySet(), TraceContext.NAMES)) {
      for (String name : TraceContext.NAMES) {
        kept = kept.withoutPrefix(name + "=");
      }
    }
    return kept;
  }

  /**
   * The result of a run.
   *
   * @param succeeded whether the process exited with status 0
   * @param exitDescription how the process ended, as in "ended with status 1"
   * @param stdout the standard output
   * @param stderr the standard error
   */
  record ExitResult(boolean succeeded, String exitDescription, String stdout, String stderr) {}

  /**
   * Runs an executable to its end.
   *
   * @param caller what it inherits; absent if it inherits from this process
   * @param environment the variables of the call and its trace, which replace inherited ones
   * @param input the bytes written to its standard input
   * @param namespace the path of the network namespace to run in; absent for this process's own
   * @param lockFile the file that the process keeps locked; see {@link CallContext#lockFile}
   * @throws CniException code 11 if the process does not end by the deadline or the thread is
   *     interrupted (the process has then been killed), code 5 if it cannot be started, code 6 if
   *     it prints too much, code 8 if the namespace cannot be opened
   */
  static ExitResult run(
      Path executable,
      Optional<CallerContext> caller,
      Map<String, String> environment,
      byte[] input,
      Optional<Path> namespace,
      Optional<Path> lockFile,
      Deadline deadline)
      throws CniException {
    deadline.check("running " + executable);
    ChildEnvironment inherited =
        caller.map(PluginProcess::inherit).orElseGet(ChildEnvironment::inherited);
    var run = new PluginProcess(executable, inherited, environment, input);
    try (HostNetNs host = HostNetNs.open(namespace);
        var lock = new InheritedLock(run.lock(lockFile, deadline));
        ChildProcess process = run.start(host, lock.flock(), deadline)) {
      run.communicate(process, deadline);
      boolean success = process.exitStatus().equals(OptionalInt.of(0));
      return new ExitResult(
          success, describeExit(process), process.output(), process.errorOutput());
    } catch (KernelException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          executable + ": communicating with the process: " + e.getMessage(),
          e);
    }
  }

  private static String describeExit(ChildProcess process) {
    return process.signal().isPresent()
        ? "was ended by signal " + process.signal().getAsInt()
        : "ended with status " + process.exitStatus().orElseThrow();
  }

  private Optional<Flock> lock(Optional<Path> file, Deadline deadline) throws CniException {
    if (file.isEmpty()) {
      return Optional.empty();
    }
    try {
      return Flock.acquireExistingShared(file.get(), deadline.remaining());
    } catch (InterruptedException e) {
      throw CniException.interrupted("locking " + file.get());
    } catch (KernelException e) {
      throw new CniException(
          e.is(Errno.EAGAIN) ? ErrorCode.TRY_AGAIN_LATER : ErrorCode.IO_FAILURE,
          executable + " cannot be run: " + file.get() + " cannot be locked: " + e.getMessage(),
          e);
    }
  }

  /** The lock that the process inherits; absent if there is none. */
  private record InheritedLock(Optional<Flock> flock) implements AutoCloseable {
    @Override
    public void close() {
      flock.ifPresent(Flock::close);
    }
  }

  private ChildProcess start(HostNetNs host, Optional<Flock> lock, Deadline deadline)
      throws CniException {
    Deadline busyDeadline = Deadline.after(BUSY_TIMEOUT);
    while (true) {
      try {
        return startIn(host, lock);
      } catch (KernelException e) {
        if (!e.is(Errno.ETXTBSY) || busyDeadline.remaining().isZero()) {
          throw new CniException(ErrorCode.IO_FAILURE, describeStartFailure(e), e);
        }
      }
      deadline.check("running " + executable + ", which is being written");
      pause();
    }
  }

  /** execve(2) reports ENOENT also for a script whose interpreter does not exist. */
  private String describeStartFailure(IOException e) {
    return e.getMessage()
        + (Files.exists(executable) ? "; the file exists: check its first line and format" : "");
  }

  private void pause() throws CniException {
    try {
      Thread.sleep(BUSY_RETRY_MILLIS);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for " + executable + ", which is being written");
    }
  }

  /** A process inherits the network namespace of the thread that starts it. */
  private ChildProcess startIn(HostNetNs host, Optional<Flock> lock) throws KernelException {
    List<String> command = List.of(executable.toString());
    NetNs.Task<ChildProcess, KernelException> task =
        () -> ChildProcess.start(command, environment, input, MAX_OUTPUT_BYTES, lock);
    return host.netns().isPresent() ? host.netns().get().call(task) : task.run();
  }

  /** The namespace to run in; absent for this process's own. */
  private record HostNetNs(Optional<NetNs> netns) implements AutoCloseable {
    static HostNetNs open(Optional<Path> path) throws CniException {
      try {
        return new HostNetNs(
            path.isEmpty() ? Optional.empty() : Optional.of(NetNs.open(path.get())));
      } catch (KernelException e) {
        throw new CniException(
            ErrorCode.INVALID_NAMESPACE,
            "the host's network namespace cannot be used: " + e.getMessage(),
            e);
      }
    }

    @Override
    public void close() {
      netns.ifPresent(NetNs::close);
    }
  }

  private void communicate(ChildProcess process, Deadline deadline)
      throws CniException, KernelException {
    boolean ended;
    try {
      ended = process.communicate(deadline.remaining());
    } catch (InterruptedException e) {
      throw CniException.interrupted("running " + executable + ", which has been killed");
    }
    if (!ended) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER.value(),
          executable + " did not end by the deadline and has been killed",
          process.errorOutput().strip(),
          null);
    }
    if (process.leftProcesses()) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "{0} has ended and left processes that it started: their pipes are closed now, end"
                  + " them if they are not meant to stay",
              executable);
    }
    if (process.isOutputTruncated()) {
      throw new CniException(
          ErrorCode.DECODING_FAILURE,
          executable + " printed more than " + MAX_OUTPUT_BYTES + " bytes");
    }
  }
}
