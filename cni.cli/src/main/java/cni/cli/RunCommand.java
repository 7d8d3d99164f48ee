package cni.cli;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Rollback;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NamespaceOwnership;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni run}: the counterpart of CNI's priv-net-run.sh and docker-run.sh. */
final class RunCommand extends Subcommand {
  private static final int EXIT_CANNOT_START = 126;
  private static final int EXIT_SIGNAL_BASE = 128;
  private static final Duration POLL_TIMEOUT = Duration.ofHours(1);
  private static final int TERMINATE_TIMEOUT_SECONDS = 5;

  private final HostOptions host = new HostOptions(spec());
  private final OptionSpec networkNames =
      listOption("-n", "--network")
          .paramLabel("NAME")
          .description("Network to attach to; may be repeated; default: all configured networks.")
          .build();
  private final OptionSpec existingNamespace =
      OptionSpec.builder("--with")
          .type(String.class)
          .paramLabel("PID|NAME|PATH")
          .description(
              "Use the network namespace of this process, or an existing one by name or path, instead"
                  + " of a new one.")
          .build();
  private final PositionalParamSpec command =
      parameters(1, "COMMAND")
          .description("Command and its arguments, preferably after \"--\".")
          .build();

  private final Rollback cleanup = new Rollback();
  private final CountDownLatch processEnded = new CountDownLatch(1);
  private final Thread main = Thread.currentThread();
  private @Nullable ChildProcess process;

  /**
   * Guards {@link #working} and {@link #interrupted}. The monitor of this object guards {@link
   * #cleanup}, {@link #process} and {@link #cleanedUp}, and is held while an ADD runs.
   */
  private final Object stateLock = new Object();

  private boolean working = true;
  private volatile boolean interrupted;
  private boolean cleanedUp;

  RunCommand() {
    super(
        "Run a command in a network namespace attached to networks.",
        "The namespace is new, or given by --with. The first network becomes eth0, the next eth1, and so on. The attachments and the new namespace"
            + " are removed when the command ends or is interrupted.");
    spec().addOption(networkNames).addOption(existingNamespace).addPositional(command);
    // Everything after the command belongs to it, options included.
    spec().parser().stopAtPositional(true);
    spec()
        .usageMessage()
        .footerHeading("%nExit status:%n")
        .footer(
            "  that of the command; 128 plus the signal number if a signal ended it;",
            "  126 if the command could not be started; 1 if the namespace could not be set up");
  }

  @Override
  public Integer call() throws Exception {
    // A signal starts the JVM's shutdown; the hook then cleans up.
    var hook = new Thread(this::onShutdown, "cni-run-cleanup");
    Runtime.getRuntime().addShutdownHook(hook);
    try {
      return runInNamespace();
    } finally {
      stopWorking();
      cleanUp();
    }
  }

  private int runInNamespace() throws CniException, IOException, InterruptedException {
    String id = (AbandonedRuns.PREFIX + "%08x").formatted(ThreadLocalRandom.current().nextInt());
    Cni cni = open();
    AbandonedRuns.remove(cni);
    @Nullable String existing = existingNamespace.getValue();
    try (NetNs netns = existing == null ? createNamespace(id) : NamespacePaths.open(existing)) {
      setLoopbackUp(netns);
      List<Network> networks = networks(cni);
      for (int i = 0; i < networks.size(); i++) {
        join(networks.get(i), Attachment.of(id, netns.path(), "eth" + i));
      }
      ChildProcess started = start(netns);
      return started == null ? EXIT_CANNOT_START : await(started);
    }
  }

  private synchronized Cni open() throws CniException, IOException {
    requireNotInterrupted();
    Cni cni = host.openResident();
    cleanup.add(cni::close); // runs last: the attachments are deleted before
    return cni;
  }

  private synchronized NetNs createNamespace(String id) throws IOException {
    requireNotInterrupted();
    NetNs netns = NamespaceOwnership.create(id);
    cleanup.add(() -> NetNs.delete(id));
    // Processes left behind by the command would keep the namespace alive without a name.
    NetNs.Identity identity = netns.identity();
    cleanup.add(() -> NamespacePaths.killProcessesIn(identity));
    return netns;
  }

  private static void setLoopbackUp(NetNs netns) throws IOException {
    try (RouteSocket routing = RouteSocket.open(netns)) {
      routing.execute(LinkRequests.setUp(routing.links("lo").getFirst().index()));
    }
  }

  private List<Network> networks(Cni cni) throws CniException {
    List<String> chosen = networkNames.getValue();
    if (chosen.isEmpty()) {
      return cni.networks();
    }
    List<Network> networks = new ArrayList<>();
    for (String name : chosen) {
      networks.add(cni.network(name));
    }
    return networks;
  }

  private synchronized void join(Network network, Attachment attachment)
      throws CniException, IOException {
    requireNotInterrupted();
    cleanup.add(() -> network.delete(attachment)); // also after an ADD that was interrupted
    network.add(attachment);
  }

  private synchronized @Nullable ChildProcess start(NetNs netns) throws IOException {
    requireNotInterrupted();
    ChildEnvironment environment =
        CallerEnvironment.restore(ChildEnvironment.inherited())
            .with(Map.of("CNI_NETNS", netns.path().toString()));
    try {
      ChildProcess started =
          netns.<ChildProcess, KernelException>callWithPrivateSysfs(
              () -> ChildProcess.startWithInheritedStdio(command.getValue(), environment));
      process = started;
      return started;
    } catch (KernelException e) {
      System.err.println("cni: " + e.getMessage());
      return null;
    }
  }

  private int await(ChildProcess started) throws IOException, InterruptedException {
    boolean exited = false;
    while (!exited) {
      try {
        exited = started.communicate(POLL_TIMEOUT);
      } catch (InterruptedException e) {
        if (!interrupted) {
          throw e;
        }
        // the shutdown hook ends the command; keep waiting for its exit
      }
    }
    processEnded.countDown();
    return started.signal().isPresent()
        ? EXIT_SIGNAL_BASE + started.signal().getAsInt()
        : started.exitStatus().orElseThrow();
  }

  private void requireNotInterrupted() throws IOException {
    if (interrupted) {
      throw new IOException("interrupted");
    }
  }

  /** Interrupts the main thread, also during an ADD, and cleans up. */
  private void onShutdown() {
    synchronized (stateLock) {
      interrupted = true;
      if (working) {
        main.interrupt();
      }
    }
    cleanUp();
  }

  /** Prevents {@link #onShutdown} from interrupting the main thread while it cleans up. */
  private void stopWorking() {
    synchronized (stateLock) {
      working = false;
      interrupted |= Thread.interrupted();
    }
  }

  /** Ends the command if it still runs and undoes everything; a second call does nothing. */
  private synchronized void cleanUp() {
    interrupted = true;
    if (cleanedUp) {
      return;
    }
    cleanedUp = true;
    if (process != null) {
      terminateProcess(process);
    }
    var failure = cleanup.undoAfter(new IOException("cleaning up"));
    for (Throwable suppressed : failure.getSuppressed()) {
      System.err.println("cni: while cleaning up: " + suppressed.getMessage());
    }
  }

  /** Ends the command; the main thread keeps waiting for its exit while the JVM shuts down. */
  private void terminateProcess(ChildProcess child) {
    try {
      if (processEnded.getCount() > 0) {
        child.terminate();
      }
      if (!processEnded.await(TERMINATE_TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
        child.kill();
        processEnded.await();
      }
    } catch (InterruptedException e) {
      child.kill();
      Thread.currentThread().interrupt();
    }
  }
}
