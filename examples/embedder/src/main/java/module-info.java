/** A program that attaches a container to a network. */
module com.example.embedder {
  requires cni.embedded;
}
