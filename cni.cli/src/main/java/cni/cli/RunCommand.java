// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.CapabilityArgs;
import cni.api.CniException;
import cni.api.Result;
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
import cni.runtime.NetworkCapabilities;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni run}: the counterpart of CNI's priv-net-run.sh and docker-run.sh. */
final class RunCommand extends Subcommand {
  private static final int EXIT_CANNOT_START = 126;
  private static final int EXIT_SIGNAL_BASE = 128;
  private static final Duration POLL_TIMEOUT = Duration.ofHours(1);
  private static final Duration TERMINATE_TIMEOUT = Duration.ofSeconds(5);

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
  private final OptionSpec capabilityArgs =
      OptionSpec.builder("--capability-args")
          .type(String.class)
          .initialValue("")
          .paramLabel("JSON")
          .description("Capability arguments, a JSON object keyed by capability.")
          .build();
  private final CapabilityOptions capabilities;
  private final PositionalParamSpec command =
      parameters(1, "COMMAND")
          .description("Command and its arguments, preferably after \"--\".")
          .build();

  /**
   * Undoes everything, the last change first. The steps run on the main thread and not in a {@link
   * Rollback}, which waits for a minute only: every DEL has the deadline of an operation.
   */
  private final Deque<Rollback.Step> cleanup = new ArrayDeque<>();

  RunCommand() {
    super(
        "Run a command in a network namespace attached to networks.",
        "The namespace is new, or given by --with. The first network becomes eth0, the next eth1, and so on. The attachments and the new namespace"
            + " are removed when the command ends or is interrupted.",
        "Capability arguments, such as --publish, go to the networks whose plugins declare the"
            + " capability; ports and addresses only to the first of them.",
        "Name servers and search domains of the networks, or of --dns and --dns-search unless a plugin"
            + " takes those, replace /etc/resolv.conf for the command.");
    spec().addOption(networkNames).addOption(existingNamespace).addPositional(command);
    spec().addOption(capabilityArgs);
    capabilities = new CapabilityOptions(spec());
    // Everything after the command belongs to it, options included.
    spec().parser().stopAtPositional(true);
    spec()
        .usageMessage()
        .footerHeading("%nExit status:%n")
        .footer(
            "  that of the command; 128 plus the signal number if a signal ended it;",
            "  126 if the command could not be started; 1 if the namespace could not be set up",
            "",
            "Examples:",
            "  cni run -n mynet -- ip address",
            "  cni run -n mynet -p 8080:80 --bandwidth 10M -- python3 -m http.server 80");
  }

  @Override
  public Integer call() {
    CapabilityArgs given = capabilities.args();
    try (var shutdown = new InterruptOnShutdown("cni-run-cleanup", InterruptOnShutdown.UNLIMITED)) {
      return ErrorReporter.run(() -> runAndCleanUp(given, shutdown));
    }
  }

  private int runAndCleanUp(CapabilityArgs given, InterruptOnShutdown shutdown)
      throws CniException, IOException, InterruptedException {
    try {
      return runInNamespace(given, shutdown);
    } finally {
      shutdown.stopInterrupting();
      cleanUp();
    }
  }

  private int runInNamespace(CapabilityArgs given, InterruptOnShutdown shutdown)
      throws CniException, IOException, InterruptedException {
    String id = (AbandonedRuns.PREFIX + "%08x").formatted(ThreadLocalRandom.current().nextInt());
    Cni cni = host.openResident();
    cleanup.push(cni::close);
    AbandonedRuns.remove(cni);
    requireNotInterrupted(shutdown);
    List<Network> networks = networks(cni);
    CapabilityArgs all = withJson(given);
    var resolver = RunResolver.of(all, networks);
    List<CapabilityArgs> args =
        NetworkCapabilities.distribute(RunResolver.withoutUntaken(all, networks), networks);
    NetNs netns = openNamespace(id);
    setLoopbackUp(netns);
    for (int i = 0; i < networks.size(); i++) {
      requireNotInterrupted(shutdown);
      Attachment attachment = Attachment.of(id, netns.path(), "eth" + i);
      Result result = join(networks.get(i), attachment.withCapabilityArgs(args.get(i)));
      resolver.add(result.dns());
    }
    requireNotInterrupted(shutdown);
    ChildProcess process = start(netns, resolver);
    return process == null ? EXIT_CANNOT_START : await(process, shutdown);
  }

  private NetNs openNamespace(String id) throws CniException, IOException {
    @Nullable String existing = existingNamespace.getValue();
    if (existing != null) {
      NetNs netns = NamespacePaths.open(existing);
      cleanup.push(netns::close);
      return netns;
    }
    NetNs netns = NamespaceOwnership.create(id);
    // Closed last: a namespace without an owner is taken for that of a killed run.
    cleanup.push(netns::close);
    cleanup.push(() -> NetNs.delete(id));
    // Processes left behind by the command would keep the namespace alive without a name.
    NetNs.Identity identity = netns.identity();
    cleanup.push(() -> NamespacePaths.killProcessesIn(identity));
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
      return host.networks(cni);
    }
    List<Network> networks = new ArrayList<>();
    for (String name : chosen) {
      networks.add(host.network(cni, name));
    }
    return networks;
  }

  /** Returns the arguments of the options, which replace those of --capability-args. */
  private CapabilityArgs withJson(CapabilityArgs given) throws CniException {
    String json = capabilityArgs.getValue();
    return json.isEmpty()
        ? given
        : CapabilityOptions.parseJson(json, capabilityArgs.longestName()).with(given);
  }

  private Result join(Network network, Attachment attachment) throws CniException {
    cleanup.push(() -> network.delete(attachment)); // also after an ADD that was interrupted
    try {
      return network.add(attachment);
    } catch (CniException e) {
      throw host.explained(e, network.name());
    }
  }

  private @Nullable ChildProcess start(NetNs netns, RunResolver resolver) throws IOException {
    if (resolver.isEmpty()) {
      return start(netns, Map.of());
    }
    if (!Files.exists(RunResolver.RESOLV_CONF)) {
      System.err.println(
          "cni: warning: there is no %s, so that the command has no name servers"
              .formatted(RunResolver.RESOLV_CONF));
      return start(netns, Map.of());
    }
    Path file = resolver.write();
    try {
      return start(netns, Map.of(RunResolver.RESOLV_CONF, file));
    } finally {
      Files.delete(file); // the mount keeps its content
    }
  }

  private @Nullable ChildProcess start(NetNs netns, Map<Path, Path> replaced) throws IOException {
    ChildEnvironment environment =
        ChildEnvironment.inherited().with(Map.of("CNI_NETNS", netns.path().toString()));
    try {
      ChildProcess process =
          netns.<ChildProcess, KernelException>callWithPrivateSysfs(
              replaced,
              () -> ChildProcess.startWithInheritedStdio(command.getValue(), environment));
      cleanup.push(process::close); // kills it if it still runs
      return process;
    } catch (KernelException e) {
      System.err.println("cni: " + e.getMessage());
      return null;
    }
  }

  /** Waits for the command, which a signal to this process terminates too. */
  private static int await(ChildProcess process, InterruptOnShutdown shutdown)
      throws IOException, InterruptedException {
    try {
      boolean exited = false;
      while (!exited) {
        exited = process.communicate(POLL_TIMEOUT);
      }
    } catch (InterruptedException e) {
      shutdown.stopInterrupting();
      process.terminate();
      if (!process.communicate(TERMINATE_TIMEOUT)) {
        process.close();
      }
    }
    return process.signal().isPresent()
        ? EXIT_SIGNAL_BASE + process.signal().getAsInt()
        : process.exitStatus().orElseThrow();
  }

  private static void requireNotInterrupted(InterruptOnShutdown shutdown) throws IOException {
    if (shutdown.isRequested()) {
      throw new IOException("interrupted");
    }
  }

  private void cleanUp() {
    while (!cleanup.isEmpty()) {
      try {
        cleanup.pop().undo();
      } catch (Exception | Error e) {
        System.err.println("cni: while cleaning up: " + e.getMessage());
      }
    }
  }
}
