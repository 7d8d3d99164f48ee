/**
 * The runtime's side of CNI, as libcni is for Go programs: networks, their plugins, and the
 * attachments of containers. {@link cni.runtime.Cni} is the entry point.
 */
@NullMarked
package cni.runtime;

import org.jspecify.annotations.NullMarked;
