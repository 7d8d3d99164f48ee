package cni.plugins.support;

/**
 * This module's logger. It is made when there is something to log: the first one takes a process
 * some 30 ms, and most processes log nothing.
 */
final class Log {
  static final System.Logger LOG = System.getLogger("cni.sandbox");

  private Log() {}
}
