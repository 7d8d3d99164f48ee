// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import cni.api.Attachment;
import cni.api.CapabilityArgs;
import cni.api.CniException;
import cni.api.PortMapping;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.StringNode;

class NetworkCapabilitiesTest {
  private static final Attachment ATTACHMENT =
      Attachment.of("c1", Path.of("/run/netns/c1"), "eth0");

  private FileSystem files;
  private Cni cni;

  @BeforeEach
  void open() throws IOException {
    files =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
    Files.createDirectories(files.getPath("/net.d"));
    network("n", "{ \"a\": true, \"off\": false }", "{ \"portMappings\": true, \"a\": true }");
    network("m", "{ \"portMappings\": true }", "{}");
    network("none", "{}", "{}");
    cni = Cni.builder().networks(files.getPath("/net.d")).cache(files.getPath("/cache")).build();
    FakePlugin.CALLS.clear();
  }

  @AfterEach
  void close() throws IOException {
    cni.close();
    files.close();
  }

  private void network(String name, String first, String second) throws IOException {
    Files.writeString(
        files.getPath("/net.d/" + name + ".conflist"),
        """
        { "cniVersion": "1.1.0", "name": "%s",
          "plugins": [ { "type": "first", "capabilities": %s, "ipam": { "type": "static" } },
                       { "type": "second", "capabilities": %s } ] }
        """
            .formatted(name, first, second));
  }

  private static CapabilityArgs args(String... names) {
    CapabilityArgs.Builder args = CapabilityArgs.builder();
    for (String name : names) {
      args.put(name, StringNode.valueOf("x"));
    }
    return args.build();
  }

  @Test
  void capabilitiesAreThoseThatPluginsEnable() throws Exception {
    NetworkCapabilities capabilities = cni.network("n").capabilities();
    assertEquals(Set.of("a", "portMappings"), capabilities.names());
    assertEquals(List.of("first", "second"), capabilities.plugins("a"));
    assertEquals(List.of(), capabilities.plugins("off"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "n | portMapings | network n takes no capability portMapings; the plugins declare a (first,"
            + " second), portMappings (second). Did you mean portMappings?",
        "n | off | network n takes no capability off; the plugins declare a (first, second),"
            + " portMappings (second)",
        "m | bandwidth | network m takes no capability bandwidth; the plugins declare portMappings"
            + " (first)",
        "none | ip | network none takes no capability ip; no plugin declares any. Did you mean ips?"
            + " To enable it, add \"capabilities\": {\"ips\": true} to plugin first of network none",
        "none | x | network none takes no capability x; no plugin declares any",
      })
  void addRefusesUndeclaredCapabilitiesBeforeItCallsAnyPlugin(
      String network, String capability, String message) throws Exception {
    Attachment attachment = ATTACHMENT.withCapabilityArgs(args(capability));
    CniException e = assertThrows(CniException.class, () -> cni.network(network).add(attachment));
    assertEquals(message, e.getMessage());
    assertEquals(4, e.code());
    assertEquals(List.of(), FakePlugin.CALLS);
    assertEquals(List.of(), cni.attachments());
    cni.network(network).delete(attachment); // ignores them
  }

  @Test
  void addTakesWhatOnlySelects() throws Exception {
    CapabilityArgs all = args("a", "bandwidth", "portMappings");
    for (String name : List.of("n", "m", "none")) {
      Network network = cni.network(name);
      CapabilityArgs own = all.only(network.capabilities().names());
      network.add(ATTACHMENT.withCapabilityArgs(own));
      assertEquals(
          own.toMap(),
          network.cachedAttachment(ATTACHMENT.id()).orElseThrow().attachment().capabilityArgs());
    }
  }

  @Test
  void updateRefusesUndeclaredCapabilitiesThatItSets() throws Exception {
    Network network = cni.network("m");
    network.add(ATTACHMENT);
    FakePlugin.CALLS.clear();
    AttachmentUpdate change = AttachmentUpdate.NONE.withCapabilityArgs(args("bandwidth"));
    CniException e =
        assertThrows(CniException.class, () -> network.update(ATTACHMENT.id(), change));
    assertEquals(
        "network m takes no capability bandwidth; the plugins declare portMappings (first)",
        e.getMessage());
    assertEquals(List.of(), FakePlugin.CALLS);
    network.update(ATTACHMENT.id(), AttachmentUpdate.NONE.withoutCapabilityArg("bandwidth"));
  }

  @Test
  void whatOneInterfaceOnlyCanHaveGoesToTheFirstNetwork() throws Exception {
    CapabilityArgs args =
        args("a").with(CapabilityArgs.builder().portMapping(PortMapping.tcp(8080, 80)).build());
    assertEquals("[[], [portMappings], [a]]", distribution(args, "none", "m", "n"));
    assertEquals("[[a, portMappings], [a]]", distribution(args, "n", "n"));
    assertEquals("[[], []]", distribution(CapabilityArgs.NONE, "n", "m"));
    CniException e = assertThrows(CniException.class, () -> distribution(args, "none", "m"));
    assertEquals(
        "networks none, m take no capability a; the plugins declare portMappings (first)",
        e.getMessage());
  }

  private String distribution(CapabilityArgs args, String... names) throws CniException {
    List<Network> networks = new ArrayList<>();
    for (String name : names) {
      networks.add(cni.network(name));
    }
    return NetworkCapabilities.distribute(args, networks).stream()
        .map(it -> it.names().toString())
        .collect(Collectors.joining(", ", "[", "]"));
  }
}
