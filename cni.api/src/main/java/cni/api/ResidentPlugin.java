package cni.api;

/**
 * A plugin that has work of its own between calls, such as keeping leases, as long as its host
 * runs. One whose host never starts it serves calls all the same, and leaves such work to somebody
 * else or refuses what cannot be done without.
 */
public interface ResidentPlugin extends NetworkPlugin {
  /**
   * Begins that work, or takes it up again after an earlier host has ended, however it did. Once
   * for each host, not for each container.
   *
   * @param host where to keep what has to outlive it, and to publish events about attachments; it
   *     can be used until {@link #stop}
   * @throws CniException if it cannot begin; calls are served all the same
   */
  void start(PluginHost host) throws CniException;

  /**
   * Ends that work; what is kept stays for the next host. After the last call to a plugin that is
   * replaced by a newer one, which has been started by then.
   */
  void stop();
}
