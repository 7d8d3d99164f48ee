/** The vrf plugin. */
@NullMarked
package cni.plugins.meta.vrf;

import org.jspecify.annotations.NullMarked;
