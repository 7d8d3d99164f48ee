// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.NetworkConfig;
import cni.api.TraceContext;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Calls are recorded by Java Flight Recorder, and executables receive the trace context. */
class CallTracingTest {
  private static final Attachment ATTACHMENT =
      Attachment.of("c1", Path.of("/run/netns/c1"), "eth0");

  @TempDir private Path directory;

  private Network network(String second) throws CniException {
    String text =
        "{ \"cniVersion\": \"1.0.0\", \"name\": \"n\", \"plugins\": [ { \"type\": \"first\" }, %s ] }"
            .formatted(second);
    return Cni.builder()
        .cache(directory)
        .executables(directory)
        .build()
        .network(NetworkConfig.parse(text.getBytes(StandardCharsets.UTF_8), "test"));
  }

  @Test
  void everyPluginCallIsAJfrEvent() throws Exception {
    Path file = directory.resolve("recording.jfr");
    try (var recording = new Recording()) {
      recording.enable("cni.PluginCall").withoutThreshold();
      recording.start();
      Network network = network("{ \"type\": \"second\", \"ADD\": \"fail\" }");
      assertThrows(CniException.class, () -> network.add(ATTACHMENT));
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> events = RecordingFile.readAllEvents(file);
    assertEquals(
        List.of("ADD first 0 ", "ADD second 107 as configured", "DEL first 0 "),
        events.stream()
            .map(
                it ->
                    "%s %s %d %s"
                        .formatted(
                            it.getString("verb"),
                            it.getString("type"),
                            it.getInt("errorCode"),
                            it.getString("error")))
            .toList());
    RecordedEvent first = events.getFirst();
    assertEquals("n", first.getString("network"));
    assertEquals("c1", first.getString("containerId"));
    assertEquals("eth0", first.getString("interfaceName"));
    assertTrue(first.getString("origin").startsWith("module "), first::toString);
    assertTrue(first.getDuration().toNanos() > 0);
  }

  @Test
  void traceContextIsPassedToExecutables() throws Exception {
    Path executable = directory.resolve("tracing");
    Path output = directory.resolve("output");
    Files.writeString(
        executable,
        "#!/bin/sh\necho $TRACEPARENT,$TRACESTATE,$BAGGAGE >>%s\necho '{\"cniVersion\":\"1.0.0\"}'\n"
            .formatted(output));
    Files.setPosixFilePermissions(executable, PosixFilePermissions.fromString("rwxr-xr-x"));
    var trace =
        new TraceContext(
            Map.of("TRACEPARENT", "00-aa-bb-01", "BAGGAGE", "user=1", "OTHER", "not passed on"));
    Network network = network("{ \"type\": \"tracing\" }");
    network.withTrace(trace).add(ATTACHMENT);
    network.withTrace(TraceContext.of("00-cc-dd-01")).delete(ATTACHMENT);
    assertEquals(List.of("00-aa-bb-01,,user=1", "00-cc-dd-01,,"), Files.readAllLines(output));
  }
}
