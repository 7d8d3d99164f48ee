/** Benchmarks. */
@NullMarked
package cni.bench;

import org.jspecify.annotations.NullMarked;
