package cni.api;

/** The way from a plugin to the plugins that it delegates to (SPEC section 4). */
@FunctionalInterface
public interface Delegates {
  /**
   * Finds a plugin by type. Whether a module or an executable answers makes no difference to the
   * caller, who gives it the request that it received itself.
   *
   * @throws CniException code 7 if there is no such plugin
   */
  NetworkPlugin find(String type) throws CniException;
}
