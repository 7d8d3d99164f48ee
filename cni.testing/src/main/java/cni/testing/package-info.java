/**
 * Network namespaces for tests: hosts, containers, probes of what crosses between them, and
 * snapshots of what a host has before and after.
 */
@NullMarked
package cni.testing;

import org.jspecify.annotations.NullMarked;
