/** The interface plugins other than bridge. */
@NullMarked
package cni.plugins.main;

import org.jspecify.annotations.NullMarked;
