/** Network namespaces to test in: the fixtures of every module's kernel tests. */
@NullMarked
package cni.netlink.lab;

import org.jspecify.annotations.NullMarked;
