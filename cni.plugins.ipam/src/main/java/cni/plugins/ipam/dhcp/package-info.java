/** The dhcp plugin: addresses from servers of the network, by DHCP and DHCPv6. */
@NullMarked
package cni.plugins.ipam.dhcp;

import org.jspecify.annotations.NullMarked;
