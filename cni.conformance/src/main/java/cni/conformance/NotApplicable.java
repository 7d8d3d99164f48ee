package cni.conformance;

/** Why a check says nothing about this plugin in this setting. */
final class NotApplicable extends Exception {
  private static final long serialVersionUID = 1L;

  NotApplicable(String why) {
    super(why);
  }
}
