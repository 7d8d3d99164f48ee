// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

/** The cause of an error: etcd has compacted the revision that was to be read. */
final class CompactedException extends Exception {
  private static final long serialVersionUID = 1;

  CompactedException(String message) {
    super(message);
  }
}
