// SPDX-License-Identifier: Apache-2.0
/**
 * The functions of the C library that this module calls. The package is not exported.
 *
 * <p>A method is named after its function and documented by the function's man page; only what
 * differs is said here. It throws a {@link cni.netlink.ffm.KernelException} with the errno of that
 * very call, and an {@link java.lang.IllegalArgumentException} if a segment is on the Java heap.
 */
@NullMarked
package cni.netlink.ffm.libc;

import org.jspecify.annotations.NullMarked;
