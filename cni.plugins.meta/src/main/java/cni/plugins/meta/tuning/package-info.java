/** The tuning plugin: sysctls and properties of an interface. */
@NullMarked
package cni.plugins.meta.tuning;

import org.jspecify.annotations.NullMarked;
