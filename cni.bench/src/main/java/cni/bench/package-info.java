// SPDX-License-Identifier: Apache-2.0
/** Benchmarks by JMH, and {@link cni.bench.Comparison} with the reference plugins. */
@NullMarked
package cni.bench;

import org.jspecify.annotations.NullMarked;
