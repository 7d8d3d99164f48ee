// SPDX-License-Identifier: Apache-2.0
/**
 * The runtime's side of CNI, as libcni is for Go programs: networks, their plugins, and the
 * attachments of containers. {@link cni.runtime.Cni} is the entry point.
 *
 * <p>Unless a parameter is {@link org.jspecify.annotations.Nullable}, a null argument fails at the
 * call with a NullPointerException whose message starts with the name of the parameter; so does a
 * null element of a collection or of variable arguments.
 */
@NullMarked
package cni.runtime;

import org.jspecify.annotations.NullMarked;
