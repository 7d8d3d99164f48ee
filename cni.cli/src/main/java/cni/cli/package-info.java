// SPDX-License-Identifier: Apache-2.0
/** The {@code cni} command. */
@NullMarked
package cni.cli;

import org.jspecify.annotations.NullMarked;
