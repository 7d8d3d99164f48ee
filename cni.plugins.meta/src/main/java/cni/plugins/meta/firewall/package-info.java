/** The firewall plugin: accepts forwarded packets of containers. */
@NullMarked
package cni.plugins.meta.firewall;

import org.jspecify.annotations.NullMarked;
