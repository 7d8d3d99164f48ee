// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AddressRegistry;
import cni.api.AddressReport;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginHost;
import cni.api.PluginRole;
import cni.api.ResidentPlugin;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.Verb;
import cni.api.internal.CniCallable;
import cni.api.internal.CniRunnable;
import cni.api.internal.LazyLogger;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A third-party plugin, called so that its caller always gets a valid result or a {@link
 * CniException} by the deadline: every call is an {@link IsolatedCall}, and its result is checked.
 * {@link PluginTrust} decides which plugins need this.
 */
final class IsolatedPlugin implements ResidentPlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final NetworkPlugin plugin;
  private final String type;
  private final Optional<PluginRole> role;
  private final Set<SpecVersion> versions;

  private volatile boolean started;

  /** The number of calls in progress; guarded by this. */
  private int calls;

  /** Whether a newer version has replaced the plugin; guarded by this. */
  private boolean retired;

  private IsolatedPlugin(
      NetworkPlugin plugin, String type, Optional<PluginRole> role, Set<SpecVersion> versions) {
    this.plugin = plugin;
    this.type = type;
    this.role = role;
    this.versions = versions;
  }

  /**
   * Isolates a plugin, after asking it for its type, role and versions.
   *
   * @throws CniException if it cannot report them
   */
  static IsolatedPlugin of(NetworkPlugin plugin) throws CniException {
    return IsolatedCall.call(
        plugin.getClass().getName(),
        loader(plugin),
        Deadline.after(IsolatedCall.SETUP_TIMEOUT),
        () ->
            new IsolatedPlugin(
                plugin, plugin.type(), plugin.role(), Set.copyOf(plugin.versions())));
  }

  /** Returns the class of the third-party plugin. */
  Class<?> implementation() {
    return plugin.getClass();
  }

  @Override
  public String type() {
    return type;
  }

  @Override
  public Optional<PluginRole> role() {
    return role;
  }

  @Override
  public Set<SpecVersion> versions() {
    return versions;
  }

  @Override
  public void start(PluginHost host) throws CniException {
    if (plugin instanceof ResidentPlugin resident) {
      started = true;
      isolated("start", () -> resident.start(host));
    }
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    var delegates = new RevocableDelegates(request.context().delegates());
    return call(
        Verb.ADD,
        request.context().deadline(),
        delegates,
        () -> requireValid(plugin.add(delegates.in(request)), request.config().version()));
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    run(Verb.CHECK, request.context().deadline(), () -> plugin.check(request));
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    var delegates = new RevocableDelegates(request.context().delegates());
    CniRunnable call = () -> plugin.delete(delegates.in(request));
    call(Verb.DEL, request.context().deadline(), delegates, call.asCallable());
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    var delegates = new RevocableDelegates(request.context().delegates());
    CniRunnable call = () -> plugin.gc(delegates.in(request));
    call(Verb.GC, request.context().deadline(), delegates, call.asCallable());
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    CniRunnable call = () -> plugin.validate(request);
    callCounted(type + " validation", request.context().deadline(), call.asCallable());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    run(Verb.STATUS, request.context().deadline(), () -> plugin.status(request));
  }

  @Override
  public Optional<UpdatablePlugin> updatable() {
    return plugin.updatable().map(it -> new IsolatedUpdatablePlugin(this, it));
  }

  @Override
  public Optional<AddressRegistry> addressRegistry() {
    return plugin.addressRegistry().map(it -> IsolatedAddressRegistry.of(this, it));
  }

  /** Makes a call that is part of an update. */
  void runUpdate(String action, Deadline deadline, CniRunnable call) throws CniException {
    callCounted(type + " " + action, deadline, call.asCallable());
  }

  /** Makes a call that lists or changes the addresses that the plugin has assigned. */
  <T> T callRegistry(String action, Deadline deadline, CniCallable<T> call) throws CniException {
    return callCounted(type + " " + action, deadline, call);
  }

  /** Marks the plugin as replaced, and stops its background work once no call is in progress. */
  void retire() {
    synchronized (this) {
      retired = true;
      if (calls > 0) {
        return;
      }
    }
    stop();
  }

  @Override
  public void stop() {
    if (started && plugin instanceof ResidentPlugin resident) {
      try {
        isolated("stop", resident::stop);
      } catch (CniException e) {
        LOG.get().log(System.Logger.Level.WARNING, e.getMessage());
      }
    }
  }

  private void isolated(String action, CniRunnable call) throws CniException {
    IsolatedCall.call(
        type + " " + action,
        loader(plugin),
        Deadline.after(IsolatedCall.SETUP_TIMEOUT),
        call.asCallable());
  }

  private void run(Verb verb, Deadline deadline, CniRunnable call) throws CniException {
    call(verb, deadline, call.asCallable());
  }

  /** Makes a call that may change the attachment through delegates, until it is abandoned. */
  private <T> T call(
      Verb verb, Deadline deadline, RevocableDelegates delegates, CniCallable<T> call)
      throws CniException {
    try {
      return call(verb, deadline, call);
    } catch (CniException e) {
      if (IsolatedCall.isContractViolation(e)) {
        delegates.revoke();
      }
      throw e;
    }
  }

  private <T> T call(Verb verb, Deadline deadline, CniCallable<T> call) throws CniException {
    return callCounted(type + " " + verb, deadline, call);
  }

  private <T> T callCounted(String name, Deadline deadline, CniCallable<T> call)
      throws CniException {
    synchronized (this) {
      calls++;
    }
    try {
      return IsolatedCall.call(name, loader(plugin), deadline, call);
    } finally {
      boolean last;
      synchronized (this) {
        calls--;
        last = retired && calls == 0;
      }
      if (last) {
        stop();
      }
    }
  }

  private static ClassLoader loader(NetworkPlugin plugin) {
    return plugin.getClass().getClassLoader();
  }

  /**
   * Requires a result that can be written and whose addresses belong to interfaces that it lists.
   */
  Result requireValid(@Nullable Result result, SpecVersion version) throws CniException {
    if (result == null) {
      throw invalidResult("null");
    }
    int interfaces = result.interfaces().size();
    for (Result.IpConfig ip : result.ips()) {
      int index = ip.interfaceIndex().orElse(0);
      if (index < 0 || (ip.interfaceIndex().isPresent() && index >= interfaces)) {
        throw invalidResult(
            "address %s refers to interface %d, but the result lists %d interfaces"
                .formatted(ip.address(), index, interfaces));
      }
    }
    try {
      ResultJson.write(result, version);
    } catch (RuntimeException e) {
      throw invalidResult("it cannot be written: " + e);
    }
    return result;
  }

  /** Requires that a plugin has returned a report. */
  AddressReport requireReport(@Nullable AddressReport report) throws CniException {
    if (report == null) {
      String message = type + " returned null as the report of its addresses";
      throw IsolatedCall.violation(ErrorCode.INTERNAL, message, new IllegalStateException(message));
    }
    return report;
  }

  private CniException invalidResult(String reason) {
    String message = type + " returned an invalid result: " + reason;
    return IsolatedCall.violation(ErrorCode.INTERNAL, message, new IllegalStateException(message));
  }
}
