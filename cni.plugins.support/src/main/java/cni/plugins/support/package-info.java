// SPDX-License-Identifier: Apache-2.0
/**
 * Building blocks of the plugins: sessions in the container's and the host's namespace, veth pairs,
 * configuration of an interface from a result, comparison of a result with the kernel, batched
 * deletion, masquerading, delegation to the ipam plugin.
 */
@NullMarked
package cni.plugins.support;

import org.jspecify.annotations.NullMarked;
