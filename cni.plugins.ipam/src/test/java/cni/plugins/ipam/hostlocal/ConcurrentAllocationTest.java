// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.plugins.ipam.NoOpPluginHost;
import cni.testing.KernelTest;
import cni.testing.ReferencePlugins;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** This project's plugin and the reference plugin allocate from one directory concurrently. */
@KernelTest(reference = true)
class ConcurrentAllocationTest {
  private static final int WORKERS = 64;
  private static final int ALLOCATIONS = 2000;

  @TempDir private Path directory;

  @Test
  void noAddressIsAllocatedTwice() throws Exception {
    PluginConfig config = AllocationLoop.config(directory.toString());
    var plugin = new HostLocalPlugin();
    plugin.start(new NoOpPluginHost(directory)); // with a cache that the other plugin invalidates
    List<Callable<String>> tasks = new ArrayList<>();
    for (int i = 0; i < ALLOCATIONS; i++) {
      AttachmentRequest request = AllocationLoop.request(config, "c" + i);
      boolean reference = i % 2 == 1;
      tasks.add(() -> reference ? runReference("ADD", request) : run(plugin, request));
    }
    var addresses = new HashSet<String>();
    try (var workers = Executors.newFixedThreadPool(WORKERS)) {
      for (Future<String> address : workers.invokeAll(tasks)) {
        addresses.add(address.get());
      }
    }
    assertEquals(ALLOCATIONS, addresses.size());
    // Each can check and release what the other reserved.
    AttachmentRequest ours = AllocationLoop.request(config, "c0");
    runReference("CHECK", ours);
    runReference("DEL", ours);
    AttachmentRequest theirs = AllocationLoop.request(config, "c1");
    plugin.check(theirs);
    plugin.delete(theirs);
    assertEquals(ALLOCATIONS - 2, held());
    plugin.stop();
  }

  private long held() throws IOException {
    try (var files = java.nio.file.Files.list(directory.resolve("n"))) {
      return files.filter(file -> file.getFileName().toString().startsWith("10.")).count();
    }
  }

  private static String run(HostLocalPlugin plugin, AttachmentRequest request) throws CniException {
    return plugin.add(request).ips().getFirst().address().toString();
  }

  private static String runReference(String verb, AttachmentRequest request) throws Exception {
    var builder = new ProcessBuilder(ReferencePlugins.directory().resolve("host-local").toString());
    builder
        .environment()
        .putAll(
            Map.of(
                "CNI_COMMAND",
                verb,
                "CNI_CONTAINERID",
                request.attachment().containerId(),
                "CNI_NETNS",
                "/none",
                "CNI_IFNAME",
                "eth0",
                "CNI_PATH",
                ReferencePlugins.directory().toString()));
    Process process = builder.redirectErrorStream(true).start();
    try (var in = process.getOutputStream()) {
      in.write(Json.bytes(request.config().json()));
    }
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new AssertionError(verb + " by the reference plugin: " + output);
    }
    return verb.equals("ADD") ? Json.parse(output, "result").at("/ips/0/address").asString() : "";
  }
}
