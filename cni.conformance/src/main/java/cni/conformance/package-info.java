/**
 * The requirements of the CNI specification as checks: {@link cni.conformance.Conformance} runs
 * them, {@link cni.conformance.ConformanceTests} has JUnit run them.
 */
@NullMarked
package cni.conformance;

import org.jspecify.annotations.NullMarked;
