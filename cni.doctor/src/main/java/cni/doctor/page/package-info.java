// SPDX-License-Identifier: Apache-2.0
/** A page that shows a host's networks: HTML in one file, which loads nothing. */
@NullMarked
package cni.doctor.page;

import org.jspecify.annotations.NullMarked;
