// SPDX-License-Identifier: Apache-2.0
/**
 * Metrics in the text exposition format of Prometheus, and the HTTP endpoint that serves them. The
 * names and units are in docs/monitoring.md.
 */
@NullMarked
package cni.doctor.metrics;

import org.jspecify.annotations.NullMarked;
