/** The interface plugins other than bridge. */
@NullMarked
package cni.plugins.link;

import org.jspecify.annotations.NullMarked;
