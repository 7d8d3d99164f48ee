/**
 * The vocabulary of the Container Network Interface: configurations, attachments, results, errors,
 * and {@link cni.api.NetworkPlugin}, the interface that plugins implement.
 *
 * <p>Section numbers refer to SPEC.md, version 1.1.0, of containernetworking/cni.
 */
@NullMarked
package cni.api;

import org.jspecify.annotations.NullMarked;
