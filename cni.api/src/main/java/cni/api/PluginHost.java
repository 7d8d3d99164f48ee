package cni.api;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** What a host offers to plugins, and to sources of events, between calls. */
public interface PluginHost {
  /**
   * A directory for what has to outlive the host. It need not exist; other hosts may use it at the
   * same time.
   */
  Path stateDirectory();

  /** The namespace of the host's side; absent for the one that this process is in. */
  Optional<Path> hostNamespace();

  /**
   * Tells whoever listens. Never waits and never fails: a listener that does not keep up misses
   * events, which is logged.
   */
  void publish(PluginEvent event);

  /**
   * Every attachment that is kept in {@link #stateDirectory}, of all networks, whoever made it.
   *
   * @throws CniException code 5 if that cannot be read
   */
  List<ActiveAttachment> attachments() throws CniException;

  /**
   * An attachment that was made and not deleted.
   *
   * @param network the network's name
   * @param attachment the attachment; without a path of its namespace if an old libcni made it
   * @param result what there was afterwards
   */
  record ActiveAttachment(String network, Attachment attachment, Result result) {}
}
