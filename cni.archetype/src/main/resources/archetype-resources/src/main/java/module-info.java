/** The CNI plugin ${artifactId}. */
module ${package} {
  requires cni.api;
  requires cni.exec;
  requires cni.plugins.support;

  provides cni.api.NetworkPlugin with
      ${package}.Plugin;
}
