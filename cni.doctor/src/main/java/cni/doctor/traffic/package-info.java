// SPDX-License-Identifier: Apache-2.0
/** What attachments send and receive, and how much of the address pools is used. */
@NullMarked
package cni.doctor.traffic;

import org.jspecify.annotations.NullMarked;
