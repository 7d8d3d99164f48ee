// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.IoErrors;
import cni.daemon.HostClient;
import cni.daemon.HostProtocol;
import cni.daemon.HostServer;
import cni.daemon.HostSettings;
import cni.doctor.metrics.MetricsAddress;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.process.ServiceNotification;
import cni.netlink.ffm.process.SystemdSocket;
import cni.runtime.Cni;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/** {@code cni serve}. */
final class ServeCommand extends Subcommand {
  private static final Duration STATUS_TIMEOUT = Duration.ofSeconds(5);

  private final OptionSpec socket =
      OptionSpec.builder("--socket")
          .type(Path.class)
          .initialValue(defaultSocket())
          .paramLabel("PATH")
          .description(
              "Path of the socket; default: "
                  + HostProtocol.SOCKET_VARIABLE
                  + ", or /run/cni/cni.sock. Callers find another one by that variable.")
          .build();

  private final OptionSpec maxRunning =
      OptionSpec.builder("--max-running")
          .type(Integer.class)
          .defaultValue(String.valueOf(HostSettings.DEFAULT_MAX_RUNNING))
          .paramLabel("N")
          .description("How many requests run at once; others wait; default: ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec drain =
      timeOption("--drain")
          .defaultValue("10s")
          .description(
              "How long requests in flight may go on after SIGTERM, before they are rolled back;"
                  + " default: ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec daemons =
      listOption("--daemon")
          .paramLabel("\"TYPE ARG...\"")
          .description(
              "Run this plugin's daemon, with these arguments; may be repeated, \"none\" runs none;"
                  + " default: every daemon of the image, without arguments.")
          .build();

  private final OptionSpec repair =
      flag(
          "--repair",
          "Restore attachments by itself, soon after parts of them were removed (\"cni repair\").");

  private final OptionSpec cache =
      pathOption("--cache")
          .defaultValue(Cni.DEFAULT_CACHE.toString())
          .paramLabel("DIR")
          .description(
              "Directory of cached results for --repair and --metrics; default: ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec metrics =
      OptionSpec.builder("--metrics")
          .type(String.class)
          .paramLabel("ADDRESS")
          .description(
              "Serve metrics for Prometheus at a Unix socket, such as unix:/run/cni/metrics.sock, or"
                  + " at a port of a loopback address, such as 127.0.0.1:9469. Default: off.")
          .build();

  private final OptionSpec noWarmUp =
      flag("--no-warm-up", "Do not attach a temporary container first.");

  private final OptionSpec status =
      flag("--status", "Print what the host at --socket is doing, and exit.");

  private final OptionSpec format =
      choiceOption(List.of("text", "json"), "--format")
          .defaultValue("text")
          .paramLabel("FORMAT")
          .description("Format of --status: text or json; default: ${DEFAULT-VALUE}.")
          .build();

  ServeCommand() {
    super(
        "Run the resident host, which serves plugin executables and the command.",
        "While it runs, the installed plugins (\"cni install\") and"
            + " \"cni add|check|del|update|repair|gc|status\" pass their requests to it instead of"
            + " starting a JVM each. Without it they work as ever. SIGTERM ends it after the requests in flight. Needs root.");
    List.of(socket, maxRunning, drain, daemons, repair, cache, metrics, noWarmUp, status, format)
        .forEach(spec()::addOption);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer(
            "  cni install --dir /opt/cni/bin && cni serve &",
            "  cni serve --status",
            "  cni serve --metrics unix:/run/cni/metrics.sock",
            "  systemctl enable --now cni.socket      (see docs/resident-host.md)");
  }

  private static Path defaultSocket() {
    return EnvironmentVariables.get(HostProtocol.SOCKET_VARIABLE)
        .filter(it -> !it.equals("none"))
        .map(Path::of)
        .orElse(HostProtocol.DEFAULT_SOCKET);
  }

  @Override
  public Integer call() throws CniException {
    boolean statusOnly = status.getValue();
    return statusOnly ? askForStatus(format.getValue()) : serve();
  }

  private int askForStatus(String form) throws CniException {
    Path path = socket.getValue();
    try {
      HostClient.Reply reply =
          HostClient.status(path, Image.directory(), Image.version(), form, STATUS_TIMEOUT);
      if (!reply.refusal().isEmpty()) {
        throw new CniException(
            ErrorCode.NOT_AVAILABLE,
            "the host at " + path + " does not answer: " + reply.refusal());
      }
      System.out.print(reply.out());
      return reply.status();
    } catch (IOException e) {
      if (e instanceof KernelException error && error.is(Errno.EACCES)) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "the host at " + path + " answers root only; run this command as root, with sudo",
            e);
      }
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "no host answers at " + path + " (start one by \"cni serve\"): " + IoErrors.describe(e),
          e);
    }
  }

  private int serve() throws CniException {
    List<PluginDaemons.Specification> specifications = daemonSpecifications();
    Optional<MetricsAddress> metricsAddress = metricsAddress();
    requireRoot();
    Image.requireTrustedPlugins();
    Path path = socket.<Path>getValue().toAbsolutePath();
    HostSettings settings = settings(path);
    try (var shutdown = new HostShutdown();
        var requests = new HostedRequests()) {
      boolean isCold = noWarmUp.getValue();
      if (!isCold && !HostWarmup.run(requests)) {
        return 0; // a signal ends the process
      }
      return serve(settings, requests, specifications, metricsAddress, shutdown);
    } catch (IOException e) {
      throw new CniException(ErrorCode.IO_FAILURE, "the host: " + IoErrors.describe(e), e);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for the socket");
    }
  }

  private List<PluginDaemons.Specification> daemonSpecifications() {
    try {
      return PluginDaemons.parse(daemons.getValue());
    } catch (CniException e) {
      throw new ParameterException(spec().commandLine(), e.getMessage(), e);
    }
  }

  /** Other users may neither create links nor enter namespaces. */
  private static void requireRoot() throws CniException {
    try {
      if (!Files.getAttribute(Path.of("/proc/self/"), "unix:uid").equals(0)) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER, "the host must run as root; run this command with sudo");
      }
    } catch (IOException e) {
      throw new CniException(ErrorCode.IO_FAILURE, "the host: " + IoErrors.describe(e), e);
    }
  }

  private int serve(
      HostSettings settings,
      HostedRequests requests,
      List<PluginDaemons.Specification> specifications,
      Optional<MetricsAddress> metricsAddress,
      HostShutdown shutdown)
      throws CniException, IOException, InterruptedException {
    ServiceNotification manager = ServiceNotification.fromEnvironment();
    try (HostServer server = HostServer.open(settings, requests);
        var plugins = PluginDaemons.start(specifications);
        var _ = startRepair(requests);
        var _ = startMetrics(metricsAddress, requests, server)) {
      shutdown.stopAtSignal(server, manager);
      plugins.warnOfUnusedSockets();
      System.err.println("cni: serves " + settings.socket());
      manager.ready();
      manager.status("Serves " + settings.socket() + "; see cni serve --status");
      server.run(manager.watchdogTimeout().map(it -> it.dividedBy(2)), manager::watchdog);
      return 0;
    }
  }

  /** Starts the repair, if it is requested, and returns a handle that stops it. */
  private HostService startRepair(HostedRequests requests) {
    boolean isRequested = repair.getValue();
    if (!isRequested) {
      return () -> {};
    }
    Cni repairing = requests.openRepairing(cache.getValue());
    return repairing::close;
  }

  private Optional<MetricsAddress> metricsAddress() {
    @Nullable String text = metrics.getValue();
    try {
      return text == null ? Optional.empty() : Optional.of(MetricsAddress.parse(text));
    } catch (CniException e) {
      throw new ParameterException(spec().commandLine(), e.getMessage(), e);
    }
  }

  /** Starts to serve metrics, if there is an address, and returns a handle that stops it. */
  private HostService startMetrics(
      Optional<MetricsAddress> address, HostedRequests requests, HostServer server)
      throws CniException {
    if (address.isEmpty()) {
      return () -> {};
    }
    Path networks =
        EnvironmentVariables.get("NETCONFPATH").map(Path::of).orElse(Cni.DEFAULT_NETWORKS);
    return HostMetrics.serve(address.get(), networks, cache.getValue(), requests, server);
  }

  private HostSettings settings(Path path) throws CniException {
    OptionalInt passed = passedSocket(path);
    int running = maxRunning.getValue();
    if (running < 1) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, "--max-running " + running + " must be at least 1");
    }
    return new HostSettings(
        path, passed, Image.directory(), Image.version(), running, drain.getValue());
  }

  private static OptionalInt passedSocket(Path path) throws CniException {
    try {
      return SystemdSocket.take(path);
    } catch (IOException e) {
      throw new CniException(ErrorCode.IO_FAILURE, IoErrors.describe(e), e);
    }
  }
}
