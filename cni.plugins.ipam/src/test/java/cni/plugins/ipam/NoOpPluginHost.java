// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam;

import cni.api.PluginEvent;
import cni.api.PluginHost;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A host that ignores events and has no attachments. */
public record NoOpPluginHost(Path stateDirectory) implements PluginHost {
  @Override
  public Optional<Path> hostNamespace() {
    return Optional.empty();
  }

  @Override
  public void publish(PluginEvent event) {}

  @Override
  public List<ActiveAttachment> attachments() {
    return List.of();
  }
}
