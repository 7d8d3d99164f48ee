/**
 * Everything that a program needs to attach containers to networks: the library and all plugins. A
 * program that wants only some of them requires {@code cni.runtime} and those.
 */
module cni.embedded {
  requires transitive cni.runtime;
  requires cni.plugins.bridge;
  requires cni.plugins.meta;
  requires cni.plugins.ipam;
  requires cni.plugins.main;
}
