package cni.api;

import java.util.List;

/**
 * What serves one-shot executables of a plugin between their calls: a process of its own, started
 * by {@code TYPE daemon} or {@code cni TYPE daemon}. A module that has one says {@code provides
 * cni.api.PluginDaemon with …}.
 */
public interface PluginDaemon {
  /** The type of the plugin. */
  String type();

  /** How it is called, for {@code --help}: several lines. */
  String usage();

  /**
   * Runs until the thread is interrupted.
   *
   * @param arguments what follows the word daemon on the command line
   * @throws CniException code 4 if an argument is wrong, code 5 if it cannot serve
   */
  void run(List<String> arguments) throws CniException;
}
