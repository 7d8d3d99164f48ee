// SPDX-License-Identifier: Apache-2.0
/**
 * Diagnosis of a host: {@link cni.doctor.Doctor} examines configurations, state files and the
 * kernel, and reports what is wrong with the evidence and the command that mends it.
 */
@NullMarked
package cni.doctor;

import org.jspecify.annotations.NullMarked;
