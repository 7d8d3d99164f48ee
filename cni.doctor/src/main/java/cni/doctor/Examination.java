// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import java.io.IOException;

/**
 * The search for one kind of finding.
 *
 * @param kind what is searched for
 * @param search adds what is found
 */
record Examination(FindingKind kind, Search search) {
  /** Looks for findings on a host. */
  @FunctionalInterface
  interface Search {
    /**
     * Adds what it finds.
     *
     * @throws IOException if the kernel or a file cannot be read
     * @throws CniException if a configuration or the cache cannot be read
     */
    void examine(HostView host, Findings findings) throws IOException, CniException;
  }
}
