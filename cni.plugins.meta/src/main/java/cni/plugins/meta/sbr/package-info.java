// SPDX-License-Identifier: Apache-2.0
/** The sbr plugin: source-based routing with a routing table for each address. */
@NullMarked
package cni.plugins.meta.sbr;

import org.jspecify.annotations.NullMarked;
