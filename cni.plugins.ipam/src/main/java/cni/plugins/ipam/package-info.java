/** The plugins that manage addresses. */
@NullMarked
package cni.plugins.ipam;

import org.jspecify.annotations.NullMarked;
