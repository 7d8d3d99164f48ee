// SPDX-License-Identifier: Apache-2.0
/**
 * The vocabulary of the Container Network Interface: configurations, attachments, results, errors,
 * and {@link cni.api.NetworkPlugin}, the interface that plugins implement.
 *
 * <p>Section numbers refer to SPEC.md, version 1.1.0, of containernetworking/cni.
 *
 * <p>Unless a parameter is {@link org.jspecify.annotations.Nullable}, a null argument fails at the
 * call with a NullPointerException whose message starts with the name of the parameter; so does a
 * null element of a collection or of variable arguments.
 */
@NullMarked
package cni.api;

import org.jspecify.annotations.NullMarked;
