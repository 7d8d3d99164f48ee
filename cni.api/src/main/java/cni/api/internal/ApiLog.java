package cni.api.internal;

/**
 * This module's logger. It is made when there is something to log: the first one takes a process
 * some 30 ms, and most processes log nothing.
 */
final class ApiLog {
  static final System.Logger LOG = System.getLogger("cni.api");

  private ApiLog() {}
}
