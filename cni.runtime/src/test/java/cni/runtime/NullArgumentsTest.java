package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniArgs;
import cni.api.NetworkConfig;
import cni.api.TraceContext;
import cni.exec.StderrHandler;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** A null argument of an entry point fails at the call that got it, naming the parameter. */
@SuppressWarnings({"NullAway", "NullArgumentForNonNullParameter", "CheckReturnValue"}) // on purpose
class NullArgumentsTest {
  private static final String CONFIG =
      "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"first\"}]}";

  @TempDir private Path directory;
  private final List<String> failures = new ArrayList<>();

  private void assertNames(String parameter, Executable call) {
    try {
      call.execute();
      failures.add(parameter + ": no exception");
    } catch (NullPointerException e) {
      if (!parameter.equals(e.getMessage())) {
        failures.add(parameter + ": " + e.getMessage());
      }
    } catch (Throwable e) {
      failures.add(parameter + ": " + e);
    }
  }

  @Test
  void builderNamesTheParameter() {
    CniBuilder builder = Cni.builder();
    assertNames("directory", () -> builder.networks(null));
    assertNames("directories", () -> builder.executables((Path[]) null));
    assertNames("directories", () -> builder.executables((List<Path>) null));
    assertNames("directory", () -> builder.cache(null));
    assertNames("path", () -> builder.hostNamespace(null));
    assertNames("time", () -> builder.timeout(null));
    assertNames("context", () -> builder.trace(null));
    assertNames("loader", () -> builder.pluginLoader(null));
    assertNames("directories", () -> builder.pluginDirectories((Path[]) null));
    assertNames("names", () -> builder.nativeAccess((String[]) null));
    assertNames("sources", () -> builder.searchOrder((PluginSource[]) null));
    assertNames("instances", () -> builder.plugins((cni.api.NetworkPlugin[]) null));
    assertNames("source", () -> builder.forceSource(null, "first"));
    assertNames("types", () -> builder.forceExecutables((String[]) null));
    assertNames("handler", () -> builder.stderrHandler(null));
    assertNames("context", () -> builder.caller(null));
    assertNames("other", () -> builder.sharePlugins(null));
    assertEquals(List.of(), failures);
    assertTrue(builder.timeout(Duration.ofSeconds(1)).stderrHandler(StderrHandler.TO_LOG) != null);
  }

  @Test
  void operationsNameTheParameter() throws Exception {
    try (Cni cni = Cni.builder().networks(directory).cache(directory).executables().build()) {
      assertNames("name", () -> cni.network((String) null));
      assertNames("config", () -> cni.network((NetworkConfig) null));
      assertNames("file", () -> cni.network((Path) null));
      assertNames("containerId", () -> cni.attachments(null));
      assertNames("cached", () -> cni.storedAt(null));
      assertNames("listener", () -> cni.onEvent(null));
      Network network =
          cni.network(NetworkConfig.parse(CONFIG.getBytes(StandardCharsets.UTF_8), "test"));
      AttachmentId id = new AttachmentId("c", "eth0");
      assertNames("context", () -> network.withTrace(null));
      assertNames("attachment", () -> network.add(null));
      assertNames("attachment", () -> network.check(null));
      assertNames("attachment", () -> network.delete(null));
      assertNames("id", () -> network.update(null, AttachmentUpdate.NONE));
      assertNames("change", () -> network.update(id, null));
      assertNames("change", () -> network.planUpdate(id, null));
      assertNames("id", () -> network.repair(null));
      assertNames("id", () -> network.planRepair(null));
      assertNames("valid", () -> network.gc(null));
      assertNames("id", () -> network.cachedAttachment(null));
      assertNames("id", () -> network.cachedResult(null));
      assertEquals("n", network.withTrace(TraceContext.NONE).name());
    }
    assertEquals(List.of(), failures);
  }

  @Test
  void attachmentNamesTheParameter() {
    Path path = Path.of("/run/netns/c");
    AttachmentId id = new AttachmentId("c", "eth0");
    assertNames("containerId", () -> new AttachmentId(null, "eth0"));
    assertNames("interfaceName", () -> new AttachmentId("c", null));
    assertNames("containerId", () -> Attachment.of(null, path, "eth0"));
    assertNames("namespace", () -> Attachment.of("c", null, "eth0"));
    assertNames("interfaceName", () -> Attachment.of("c", path, null));
    assertNames("id", () -> new Attachment(null, Optional.empty(), CniArgs.NONE, Map.of()));
    assertNames("namespace", () -> new Attachment(id, null, CniArgs.NONE, Map.of()));
    assertNames("args", () -> new Attachment(id, Optional.empty(), (CniArgs) null, Map.of()));
    assertNames("capabilityArgs", () -> new Attachment(id, Optional.empty(), CniArgs.NONE, null));
    Attachment attachment = Attachment.of("c", path, "eth0");
    assertNames("newArgs", () -> attachment.withArgs(null));
    assertNames(
        "newCapabilityArgs", () -> attachment.withCapabilityArgs((Map<String, JsonNode>) null));
    assertNames("id", () -> Attachment.requireValid(null));
    assertEquals(List.of(), failures);
    assertEquals(Set.of(), attachment.capabilityArgs().keySet());
  }
}
