/** The vlan plugin. */
@NullMarked
package cni.plugins.main.vlan;

import org.jspecify.annotations.NullMarked;
