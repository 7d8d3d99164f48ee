package cni.api;

import java.util.Set;

/**
 * A CNI plugin. A module that has one says {@code provides cni.api.NetworkPlugin with …}; it is
 * then found by its type, runs in the caller's process, and can take the place of the executable of
 * the same name.
 *
 * <p>One instance serves calls for different containers at the same time. It keeps no state between
 * calls that a restart would lose.
 *
 * <p>The methods throw {@link CniException} with the codes of the specification. They may be called
 * on any thread, must leave that thread in its own network namespace, and answer to an interrupt by
 * ending soon.
 */
public interface NetworkPlugin {
  /** The type that configurations name it by, such as {@code bridge}. */
  String type();

  /**
   * The versions of the specification that it supports (VERSION).
   *
   * @throws CniException if it cannot be found out, which only happens for an executable
   */
  default Set<SpecVersion> versions() throws CniException {
    return Set.copyOf(SpecVersion.ALL);
  }

  /**
   * Adds the container to the network, or changes what an earlier plugin made (ADD).
   *
   * @return what is there afterwards: the request's previous result, changed or not, or a new one
   * @throws CniException if it cannot be done. What it had done until then has been taken back.
   */
  Result add(AttachmentRequest request) throws CniException;

  /**
   * Compares what is there with the request's previous result (CHECK).
   *
   * @throws CniException if something is missing or different; the message says what and how
   */
  void check(AttachmentRequest request) throws CniException;

  /**
   * Removes the container from the network (DEL). What is gone already is no error, nor is a
   * missing namespace or previous result.
   *
   * @throws CniException if something is left that a later call might remove
   */
  void delete(AttachmentRequest request) throws CniException;

  /**
   * Removes what belongs to attachments that are not among the valid ones (GC), and has delegates
   * do the same.
   *
   * @throws CniException if something could not be removed; all the rest has been
   */
  default void gc(GcRequest request) throws CniException {}

  /**
   * Says whether ADD can be served now (STATUS), delegates included.
   *
   * @throws CniException code 50 or 51 if it cannot
   */
  default void status(NetworkRequest request) throws CniException {}
}
