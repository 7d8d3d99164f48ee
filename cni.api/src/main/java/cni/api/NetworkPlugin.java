// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.util.Optional;
import java.util.Set;

/**
 * A CNI plugin. A module registers one by {@code provides cni.api.NetworkPlugin with …}; it is
 * found by its type, runs in the caller's process and can replace the executable of the same name.
 *
 * <p>One instance serves concurrent calls for different containers. It keeps no state between calls
 * that a restart would lose.
 *
 * <p>Methods throw {@link CniException} with an error code defined by the CNI specification, or
 * with one of their own from 100 on. They may be called on any thread, must not change that
 * thread's network namespace, and return soon after an interrupt.
 */
public interface NetworkPlugin {
  /** Returns the plugin's type, the name in configurations, such as {@code bridge}. */
  String type();

  /**
   * Returns what the plugin does in a chain; absent if that is not known, as by default and for
   * executables. A known role makes a configuration that names the plugin in the wrong place an
   * error from the start.
   */
  default Optional<PluginRole> role() {
    return Optional.empty();
  }

  /**
   * Returns the versions of the specification that the plugin supports (VERSION).
   *
   * @throws CniException if an executable cannot report them; modules do not throw it
   */
  default Set<SpecVersion> versions() throws CniException {
    return Set.copyOf(SpecVersion.ALL);
  }

  /**
   * Adds the container to the network, or modifies what a preceding plugin made (ADD).
   *
   * @return a new result, or the request's previous result with the changes made
   * @throws CniException if it fails; all changes have been undone
   */
  Result add(AttachmentRequest request) throws CniException;

  /**
   * Compares the attachment with the request's previous result (CHECK).
   *
   * @throws CniException if something is missing or different; the message names it
   */
  void check(AttachmentRequest request) throws CniException;

  /**
   * Removes the container from the network (DEL). Missing resources, a missing namespace and a
   * missing previous result are not errors.
   *
   * @throws CniException if something is left that a later call might remove
   */
  void delete(AttachmentRequest request) throws CniException;

  /**
   * Removes the resources of attachments that are not among the valid ones (GC), and calls
   * delegates for the same.
   *
   * @throws CniException if something could not be removed; everything else has been
   */
  default void gc(GcRequest request) throws CniException {
    requireNonNull(request, "request");
  }

  /**
   * Checks that the plugin and its delegates are ready to serve ADD (STATUS).
   *
   * @throws CniException code 50 or 51 if they are not
   */
  default void status(NetworkRequest request) throws CniException {
    requireNonNull(request, "request");
  }

  /**
   * Validates the plugin's configuration: reads every key that the plugin's other methods read, by
   * the same code, and calls this method of its delegates. Does not examine the host: whether that
   * is ready is for {@link #status} to say.
   *
   * <p>The configuration records which keys are read: validation reports all others as unknown. It
   * also removes the key of an error and calls this method again, so that it finds every error and
   * an implementation may throw at the first. A plugin that reads no key, as by default, does not
   * take part: its keys are not judged. Values that are accepted but probably wrong are reported by
   * {@link ConfigObject#warn}. {@code runtimeConfig} is empty; the keys that are read from it are
   * the capabilities that the plugin has; {@link PluginConfig#capabilities} returns those that the
   * configuration declares, whose arguments an ADD may have.
   *
   * @throws CniException code 7 or 2 if the configuration is invalid
   */
  default void validate(NetworkRequest request) throws CniException {
    requireNonNull(request, "request");
  }

  /** Returns this plugin as one that can update attachments; absent if it cannot. */
  default Optional<UpdatablePlugin> updatable() {
    return Optional.empty();
  }

  /** Returns this plugin as one that can list the addresses that it has assigned; absent if not. */
  default Optional<AddressRegistry> addressRegistry() {
    return Optional.empty();
  }
}
