/** The CNI specification in Java. */
module cni.api {
  requires transitive tools.jackson.databind;
  requires static transitive org.jspecify;

  exports cni.api;
}
