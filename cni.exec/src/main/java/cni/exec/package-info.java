// SPDX-License-Identifier: Apache-2.0
/**
 * The execution protocol (SPEC section 2) in both directions: {@link cni.exec.ExecutablePlugin}
 * runs an executable as a plugin, {@link cni.exec.ServedPlugin} serves a plugin as an executable.
 */
@NullMarked
package cni.exec;

import org.jspecify.annotations.NullMarked;
