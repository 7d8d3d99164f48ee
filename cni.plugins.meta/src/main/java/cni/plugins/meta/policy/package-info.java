// SPDX-License-Identifier: Apache-2.0
/** The policy plugin. Module {@code cni.policy} has what policies are and how they become rules. */
@NullMarked
package cni.plugins.meta.policy;

import org.jspecify.annotations.NullMarked;
