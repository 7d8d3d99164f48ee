// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.daemon.CallerRequest;
import cni.daemon.PluginService;
import cni.daemon.RequestHandler;
import cni.exec.CallerContext;
import cni.exec.StderrHandler;
import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import cni.runtime.PluginCallObserver;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Serves the requests to the resident host: plugins by the execution protocol, and commands. The
 * plugins of all requests are the same objects; what depends on the caller is made for each.
 */
final class HostedRequests implements RequestHandler, AutoCloseable {
  /** How often the environments of callers may name different plugin directories. */
  private static final int MAX_SHARED = 16;

  private static final String COMMAND = "cni";

  private final PluginService plugins = new PluginService(Image::isLauncher, Image.version());

  /** The plugins that requests share, by the directories that they come from; guarded by this. */
  private final Map<PluginKey, Cni> shared = new HashMap<>();

  /** What decides which plugins there are. */
  private record PluginKey(List<Path> directories, List<String> nativeAccess) {}

  /** Receives the calls of plugins, apart from those of the warm-up; absent without metrics. */
  private volatile Optional<PluginCallObserver> observer = Optional.empty();

  private static List<String> commandArguments(CallerRequest request) {
    return request.arguments().subList(1, request.arguments().size());
  }

  @Override
  public Optional<String> objection(CallerRequest request) {
    if (!request.name().equals(COMMAND)) {
      return Optional.empty();
    }
    // The request that it belongs to may hold the lock of the same container.
    return request.isNested()
        ? Optional.of("an executable that the host runs for another request calls the command")
        : HostedCommands.objection(
            commandArguments(request), invocation(request, System.out, System.err));
  }

  private Invocation invocation(CallerRequest request, PrintStream out, PrintStream err) {
    return new Invocation(
        request.environmentOfExecutables(),
        request.directory(),
        out,
        err,
        request.networkNamespace(),
        this::open);
  }

  @Override
  public int handle(CallerRequest request, PrintStream out, PrintStream err) {
    Invocation invocation = invocation(request, out, err);
    if (request.name().equals(COMMAND)) {
      return HostedCommands.run(commandArguments(request), invocation);
    }
    try {
      return invocation.call(() -> servePlugin(request, invocation));
    } catch (Exception e) {
      throw new IllegalStateException(e); // the service throws none that is checked
    }
  }

  private int servePlugin(CallerRequest request, Invocation invocation) {
    CniBuilder builder =
        PluginLocations.configure(Cni.builder())
            .executables(PluginLocations.directories(request.variable("CNI_PATH")))
            .caller(new CallerContext(invocation.environment(), invocation.directory()))
            .stderrHandler(StderrHandler.to(invocation.err()));
    try (Cni cni = open(builder)) {
      return plugins.serve(request, cni, invocation.out(), invocation.err());
    }
  }

  /** Opens an instance for one request, with the plugins that all share. */
  private Cni open(CniBuilder builder) {
    Optional<Cni> others = shared();
    builder.oneShot();
    observer.ifPresent(builder::observePluginCalls);
    return (others.isPresent() ? builder.sharePlugins(others.get()) : builder).build();
  }

  /** Returns the plugins for the environment of this thread's invocation. */
  private synchronized Optional<Cni> shared() {
    var key =
        new PluginKey(
            PluginLocations.directories(PluginLocations.modulePath()),
            PluginLocations.nativeAccess());
    if (!shared.containsKey(key) && shared.size() >= MAX_SHARED) {
      return Optional.empty();
    }
    return Optional.of(
        shared.computeIfAbsent(
            key, _ -> PluginLocations.configure(Cni.builder()).runsDaemons().build()));
  }

  /** Opens an instance that repairs the attachments of a cache by itself until it is closed. */
  Cni openRepairing(Path cache) {
    CniBuilder builder = PluginLocations.configure(Cni.builder()).cache(cache).repair();
    return shared().map(builder::sharePlugins).orElse(builder).build();
  }

  /** Reports the calls of plugins for all further requests. */
  void observePluginCalls(PluginCallObserver newObserver) {
    observer = Optional.of(newObserver);
  }

  /** Opens an instance that reads the attachments of a cache and the networks of a directory. */
  Cni openReading(Path cache, Path networks) {
    CniBuilder builder =
        PluginLocations.configure(Cni.builder()).cache(cache).networks(networks).oneShot();
    return shared().map(builder::sharePlugins).orElse(builder).build();
  }

  /** Ends what plugins do between requests. */
  @Override
  public synchronized void close() {
    shared.values().forEach(Cni::close);
    shared.clear();
  }
}
