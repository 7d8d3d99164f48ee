// SPDX-License-Identifier: Apache-2.0
/** Sockets of a network namespace, as the kernel lists them. Not an API. */
@NullMarked
package cni.doctor.socket;

import org.jspecify.annotations.NullMarked;
