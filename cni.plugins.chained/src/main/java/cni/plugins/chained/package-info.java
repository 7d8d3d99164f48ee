/** The plugins that adjust an interface made by another. */
@NullMarked
package cni.plugins.chained;

import org.jspecify.annotations.NullMarked;
