/** Whether a plugin, module or executable, in whichever language, does what CNI asks of it. */
module cni.conformance {
  requires transitive cni.runtime;
  requires cni.netlink.ffm;
  requires cni.testing;
  requires static org.junit.jupiter.api;

  exports cni.conformance;
}
