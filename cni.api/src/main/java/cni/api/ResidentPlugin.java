package cni.api;

import java.nio.file.Path;

/**
 * A plugin that has work of its own between calls, such as keeping leases, as long as its host
 * runs. One whose host never starts it serves calls all the same, and leaves such work to somebody
 * else or refuses what cannot be done without.
 */
public interface ResidentPlugin extends NetworkPlugin {
  /**
   * Begins that work, or takes it up again after an earlier host has ended, however it did.
   *
   * @param state a directory for what has to outlive the host; it need not exist. Other hosts may
   *     use it at the same time.
   * @throws CniException if it cannot begin; calls are served all the same
   */
  void start(Path state) throws CniException;

  /** Ends that work; what is kept stays for the next host. */
  void stop();
}
