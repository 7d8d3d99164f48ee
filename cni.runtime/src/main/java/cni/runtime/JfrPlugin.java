// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AddressRegistry;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.Verb;
import cni.api.internal.CniCallable;
import cni.api.internal.CniRunnable;
import java.util.Optional;
import java.util.Set;
import jdk.jfr.FlightRecorder;
import org.jspecify.annotations.Nullable;

/**
 * A plugin whose calls are recorded by Java Flight Recorder, as {@link PluginCallEvent}.
 *
 * @param plugin the plugin that does the work
 * @param origin where it comes from
 */
record JfrPlugin(NetworkPlugin plugin, PluginOrigin origin) implements NetworkPlugin {
  private static final AttachmentId NO_ATTACHMENT = new AttachmentId("", "");

  @Override
  public String type() {
    return plugin.type();
  }

  @Override
  public Optional<PluginRole> role() {
    return plugin.role();
  }

  @Override
  public Set<SpecVersion> versions() throws CniException {
    return plugin.versions();
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    return record(Verb.ADD, request, request.attachment().id(), () -> plugin.add(request));
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    run(Verb.CHECK, request, request.attachment().id(), () -> plugin.check(request));
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    run(Verb.DEL, request, request.attachment().id(), () -> plugin.delete(request));
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    run(Verb.GC, request, NO_ATTACHMENT, () -> plugin.gc(request));
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    plugin.validate(request); // not recorded: it is not a call of the specification
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    run(Verb.STATUS, request, NO_ATTACHMENT, () -> plugin.status(request));
  }

  @Override
  public Optional<UpdatablePlugin> updatable() {
    return plugin.updatable();
  }

  @Override
  public Optional<AddressRegistry> addressRegistry() {
    return plugin.addressRegistry();
  }

  private void run(Verb verb, PluginRequest request, AttachmentId id, CniRunnable call)
      throws CniException {
    record(verb, request, id, call.asCallable());
  }

  private <T> T record(Verb verb, PluginRequest request, AttachmentId id, CniCallable<T> call)
      throws CniException {
    // Creating an event before a recorder has started makes the JDK load one, which takes 50 ms.
    if (!FlightRecorder.isInitialized()) {
      return call.call();
    }
    var event = new PluginCallEvent();
    if (!event.isEnabled()) {
      return call.call();
    }
    event.begin();
    try {
      T value = call.call();
      commit(event, verb, request, id, null);
      return value;
    } catch (CniException | RuntimeException | Error e) {
      commit(event, verb, request, id, e);
      throw e;
    }
  }

  private void commit(
      PluginCallEvent event,
      Verb verb,
      PluginRequest request,
      AttachmentId id,
      @Nullable Throwable failure) {
    event.end();
    event.verb = verb.name();
    event.type = plugin.type();
    event.origin = origin.toString();
    event.network = request.config().json().path("name").asString("");
    event.containerId = id.containerId();
    event.interfaceName = id.interfaceName();
    if (failure != null) {
      event.errorCode = failure instanceof CniException e ? e.code() : ErrorCode.INTERNAL.value();
      event.error = String.valueOf(failure.getMessage());
    }
    event.commit();
  }
}
