// SPDX-License-Identifier: Apache-2.0
package cni.cli;

/** A part of the resident host that runs until it is closed. */
@FunctionalInterface
interface HostService extends AutoCloseable {
  @Override
  void close();
}
