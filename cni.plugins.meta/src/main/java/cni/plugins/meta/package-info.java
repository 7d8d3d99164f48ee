/** The plugins that adjust an interface made by another. */
@NullMarked
package cni.plugins.meta;

import org.jspecify.annotations.NullMarked;
