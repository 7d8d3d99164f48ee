// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import java.nio.file.Path;

/**
 * Where policies and what is known about attachments are.
 *
 * @param policies the directory of the files that people write
 * @param data the directory of the state; it must live as long as the rules in the kernel, until
 *     the machine restarts
 */
public record PolicyDirectories(Path policies, Path data) {
  /** The directories unless configured otherwise. */
  public static final PolicyDirectories DEFAULT =
      new PolicyDirectories(Path.of("/etc/cni/policy.d"), Path.of("/run/cni/policy"));
}
