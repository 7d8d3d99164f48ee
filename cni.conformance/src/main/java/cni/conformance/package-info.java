// SPDX-License-Identifier: Apache-2.0
/**
 * The requirements of the CNI specification as checks of a plugin. {@link
 * cni.conformance.Conformance} runs them, {@link cni.conformance.ConformanceTests} as JUnit tests.
 */
@NullMarked
package cni.conformance;

import org.jspecify.annotations.NullMarked;
