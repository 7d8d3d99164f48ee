// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.nio.file.Path;
import java.time.Duration;
import java.util.OptionalInt;

/**
 * How a host listens and runs.
 *
 * @param socket the path of its socket
 * @param passedSocket the descriptor of the listening socket that the service manager has passed
 * @param image the directory of the image whose callers it serves
 * @param version the version of its build, for display
 * @param maxRunning how many calls run at once
 * @param drainTime how long calls in flight may go on after {@link HostServer#stop}
 */
public record HostSettings(
    Path socket,
    OptionalInt passedSocket,
    Path image,
    String version,
    int maxRunning,
    Duration drainTime) {
  /** How many calls run at once unless said otherwise. */
  public static final int DEFAULT_MAX_RUNNING = 128;

  /** How long calls in flight may go on unless said otherwise. */
  public static final Duration DEFAULT_DRAIN_TIME = Duration.ofSeconds(10);
}
