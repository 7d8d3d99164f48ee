/**
 * What the interface plugins share: the base class of those that create one interface in the
 * container, the parent link, modes. Each plugin has a package of its own.
 */
@NullMarked
package cni.plugins.main;

import org.jspecify.annotations.NullMarked;
