package cni.conformance;

/** What was seen instead of what the specification asks for. */
final class CheckFailure extends Exception {
  private static final long serialVersionUID = 1L;

  CheckFailure(String seen) {
    super(seen);
  }
}
