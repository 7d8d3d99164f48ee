// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AddressRegistry;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.Verb;
import cni.api.internal.CniCallable;
import cni.api.internal.CniRunnable;
import java.util.Optional;
import java.util.Set;

/**
 * A plugin whose calls are reported to an observer. Updates and repairs in place are not: they are
 * no verbs of the specification.
 *
 * @param plugin the plugin that does the work
 * @param observer receives each call
 */
record ObservedPlugin(NetworkPlugin plugin, PluginCallObserver observer) implements NetworkPlugin {
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
  public void validate(NetworkRequest request) throws CniException {
    plugin.validate(request); // not reported: it is no verb of the specification
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    return observe(Verb.ADD, () -> plugin.add(request));
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    run(Verb.CHECK, () -> plugin.check(request));
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    run(Verb.DEL, () -> plugin.delete(request));
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    run(Verb.GC, () -> plugin.gc(request));
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    run(Verb.STATUS, () -> plugin.status(request));
  }

  @Override
  public Optional<UpdatablePlugin> updatable() {
    return plugin.updatable();
  }

  @Override
  public Optional<AddressRegistry> addressRegistry() {
    return plugin.addressRegistry();
  }

  private void run(Verb verb, CniRunnable call) throws CniException {
    observe(verb, call.asCallable());
  }

  private <T> T observe(Verb verb, CniCallable<T> call) throws CniException {
    long start = System.nanoTime();
    boolean succeeded = false;
    try {
      T value = call.call();
      succeeded = true;
      return value;
    } finally {
      observer.ended(plugin.type(), verb, succeeded, System.nanoTime() - start);
    }
  }
}
