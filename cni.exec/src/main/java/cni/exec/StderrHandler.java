package cni.exec;

/** Takes what executables write to their standard error, which is for people and not for us. */
@FunctionalInterface
public interface StderrHandler {
  /** Passes it on to this module's log, {@code cni.exec}. */
  StderrHandler TO_LOG =
      (type, text) ->
          System.getLogger("cni.exec").log(System.Logger.Level.INFO, type + ": " + text.strip());

  /** Passes it on to the standard error of this process, as a plugin does for its delegates. */
  StderrHandler TO_STDERR =
      (type, text) -> System.err.print(type + ": " + text.stripTrailing() + "\n");

  /**
   * Takes all that one call wrote.
   *
   * @param type the plugin's type
   * @param text not empty; usually lines
   */
  void handle(String type, String text);
}
