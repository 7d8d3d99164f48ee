// SPDX-License-Identifier: Apache-2.0
/** The firewall plugin: accepts forwarded packets of containers and isolates bridges. */
@NullMarked
package cni.plugins.meta.firewall;

import org.jspecify.annotations.NullMarked;
