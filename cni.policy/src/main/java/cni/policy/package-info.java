// SPDX-License-Identifier: Apache-2.0
/** Policies for the containers of a host. {@link cni.policy.Policy} is the model's root. */
@NullMarked
package cni.policy;

import org.jspecify.annotations.NullMarked;
