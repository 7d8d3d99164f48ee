package cni.runtime;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.Verb;
import java.util.Set;
import jdk.jfr.FlightRecorder;
import org.jspecify.annotations.Nullable;

/**
 * A plugin whose calls are told to Java Flight Recorder.
 *
 * @param plugin who does the work
 * @param origin where it comes from
 */
record JfrPlugin(NetworkPlugin plugin, PluginOrigin origin) implements NetworkPlugin {
  private static final AttachmentId NONE = new AttachmentId("", "");

  @Override
  public String type() {
    return plugin.type();
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
    recordVoid(Verb.CHECK, request, request.attachment().id(), () -> plugin.check(request));
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    recordVoid(Verb.DEL, request, request.attachment().id(), () -> plugin.delete(request));
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    recordVoid(Verb.GC, request, NONE, () -> plugin.gc(request));
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    recordVoid(Verb.STATUS, request, NONE, () -> plugin.status(request));
  }

  private interface Call<T> {
    T run() throws CniException;
  }

  private interface VoidCall {
    void run() throws CniException;
  }

  private void recordVoid(Verb verb, PluginRequest request, AttachmentId id, VoidCall call)
      throws CniException {
    record(
        verb,
        request,
        id,
        () -> {
          call.run();
          return true;
        });
  }

  private <T> T record(Verb verb, PluginRequest request, AttachmentId id, Call<T> call)
      throws CniException {
    // Before a recorder is started, an event would only have the JDK load one: 50 ms.
    if (!FlightRecorder.isInitialized()) {
      return call.run();
    }
    var event = new PluginCallEvent();
    if (!event.isEnabled()) {
      return call.run();
    }
    event.begin();
    try {
      T value = call.run();
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
