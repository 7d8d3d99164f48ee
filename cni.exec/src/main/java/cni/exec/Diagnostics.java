package cni.exec;

/** Takes what executables write to their standard error, which is for people and not for us. */
@FunctionalInterface
public interface Diagnostics {
  /** Passes it on to this module's log, {@code cni.exec}. */
  Diagnostics LOG =
      (type, text) ->
          System.getLogger("cni.exec").log(System.Logger.Level.INFO, type + ": " + text.strip());

  /** Passes it on to the standard error of this process, as a plugin does for its delegates. */
  Diagnostics STANDARD_ERROR =
      (type, text) -> System.err.print(type + ": " + text.stripTrailing() + "\n");

  /**
   * Takes all that one call wrote.
   *
   * @param type the plugin's type
   * @param text not empty; usually lines
   */
  void written(String type, String text);
}
