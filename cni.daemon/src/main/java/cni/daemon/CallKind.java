// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.util.Comparator;

/**
 * The kind of a request, for statistics.
 *
 * @param verb the verb, such as ADD, or the subcommand
 * @param name the plugin's type, or cni
 */
record CallKind(String verb, String name) {
  /** By name, then by verb. */
  static final Comparator<CallKind> ORDER =
      Comparator.comparing(CallKind::name).thenComparing(CallKind::verb);
}
