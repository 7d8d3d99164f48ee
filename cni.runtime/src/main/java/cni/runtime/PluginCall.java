package cni.runtime;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Verb;

/**
 * A plugin's turn in an operation on a network.
 *
 * @param network the network's name
 * @param verb the operation
 * @param type the plugin's type
 */
record PluginCall(String network, Verb verb, String type) {
  /** A call of the plugin. */
  interface Call {
    void run() throws CniException;
  }

  /**
   * Makes the call.
   *
   * @throws CniException what the plugin throws, with the place where it happened
   */
  void run(Call call) throws CniException {
    try {
      call.run();
    } catch (CniException e) {
      throw failure(e);
    } catch (RuntimeException e) {
      throw unexpected(e);
    }
  }

  /** A plugin's failure with the place where it happened. */
  CniException failure(CniException e) {
    return e.withContext("network " + network + ", " + verb + " by " + type);
  }

  /** What a plugin must not throw: a mistake in it, told as the specification's error. */
  CniException unexpected(RuntimeException e) {
    return failure(new CniException(ErrorCode.INTERNAL, "unexpected " + e, e));
  }
}
