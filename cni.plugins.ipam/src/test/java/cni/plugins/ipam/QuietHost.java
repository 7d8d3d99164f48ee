package cni.plugins.ipam;

import cni.api.PluginEvent;
import cni.api.PluginHost;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A host to which nobody listens. */
record QuietHost(Path state) implements PluginHost {
  @Override
  public Optional<Path> hostNamespace() {
    return Optional.empty();
  }

  @Override
  public void publish(PluginEvent event) {}

  @Override
  public List<KeptAttachment> attachments() {
    return List.of();
  }
}
