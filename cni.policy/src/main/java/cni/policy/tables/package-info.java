// SPDX-License-Identifier: Apache-2.0
/**
 * The tables of nf_tables that follow from policies and attachments. {@link PolicyTables} is the
 * entry.
 */
@NullMarked
package cni.policy.tables;

import org.jspecify.annotations.NullMarked;
