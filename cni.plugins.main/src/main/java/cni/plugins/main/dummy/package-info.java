/** The dummy plugin. */
@NullMarked
package cni.plugins.main.dummy;

import org.jspecify.annotations.NullMarked;
