package cni.plugins.meta;

/**
 * This module's logger. It is made when there is something to log: the first one takes a process
 * some 30 ms, and most processes log nothing.
 */
public final class Log {
  public static final System.Logger LOG = System.getLogger("cni.plugins.meta");

  private Log() {}
}
