/** The macvlan plugin. */
@NullMarked
package cni.plugins.main.macvlan;

import org.jspecify.annotations.NullMarked;
