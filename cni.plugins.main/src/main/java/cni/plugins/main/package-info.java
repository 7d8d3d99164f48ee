// SPDX-License-Identifier: Apache-2.0
/**
 * Code shared by the interface plugins: the base class of those that create one interface in the
 * container, the parent link, modes. Each plugin has its own package.
 */
@NullMarked
package cni.plugins.main;

import org.jspecify.annotations.NullMarked;
