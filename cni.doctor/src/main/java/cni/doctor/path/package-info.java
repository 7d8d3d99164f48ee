// SPDX-License-Identifier: Apache-2.0
/**
 * Why a packet does or does not arrive: its path as the kernel decides it, and what stops it. The
 * entry point is {@link cni.doctor.path.PathTracer}.
 */
@NullMarked
package cni.doctor.path;

import org.jspecify.annotations.NullMarked;
