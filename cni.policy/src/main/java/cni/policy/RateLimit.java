// SPDX-License-Identifier: Apache-2.0
package cni.policy;

/**
 * A limit of the traffic of all containers of a group together, in one direction. Packets above it
 * are dropped.
 *
 * @param rate in bits per second
 * @param burst the number of bits that may exceed the rate at once
 */
public record RateLimit(long rate, long burst) {
  /** Packets of 64 KiB (segmentation offload) never pass a smaller burst. In bits. */
  public static final long MIN_BURST = 8 * 65536;
}
