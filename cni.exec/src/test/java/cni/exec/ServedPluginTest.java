// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.GcRequest;
import cni.api.Json;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

/** Tests that a served plugin responds as one of the Go library's skel package does. */
class ServedPluginTest {
  private static final String CONFIG =
      "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"type\": \"upper\", \"key\": [1], %s }";

  private final RecordingPlugin plugin = new RecordingPlugin();
  private final Map<String, String> environment =
      new HashMap<>(
          Map.of(
              "CNI_COMMAND", "ADD",
              "CNI_CONTAINERID", "c1",
              "CNI_NETNS", "/no/such/namespace",
              "CNI_IFNAME", "eth0",
              "CNI_PATH", "/opt/cni/bin"));
  private String out = "";
  private String err = "";
  private ServedPlugin.Traces traces = ServedPlugin.Traces.BUGS;

  private int serve(String input) {
    return serve(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
  }

  private int serve(InputStream input) {
    var outBytes = new ByteArrayOutputStream();
    var errBytes = new ByteArrayOutputStream();
    var served =
        new ServedPlugin(
            plugin,
            "CNI recording plugin",
            type -> {
              throw new CniException(7, type, "", null);
            },
            Optional.empty(),
            traces);
    int status =
        served.serve(environment, input, new PrintStream(outBytes), new PrintStream(errBytes));
    out = outBytes.toString(StandardCharsets.UTF_8);
    err = errBytes.toString(StandardCharsets.UTF_8);
    return status;
  }

  private ObjectNode json() throws CniException {
    return Json.parse(out, "standard output");
  }

  private void assertError(int code, String part) throws CniException {
    assertEquals(code, json().get("code").intValue(), out);
    assertTrue(json().get("msg").asString().contains(part), out);
    assertTrue(json().has("cniVersion"), out);
  }

  @Test
  void requestIsBuiltFromEnvironmentAndInput() throws Exception {
    environment.put("CNI_ARGS", "IgnoreUnknown=1;K=V");
    environment.put("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    String previous =
        "\"prevResult\": { \"cniVersion\": \"1.1.0\", \"interfaces\": [{ \"name\": \"eth0\", \"mtu\": 1400 }] }";
    assertEquals(0, serve(CONFIG.formatted(previous)), () -> out);
    var request = (AttachmentRequest) plugin.requests.getLast();
    assertEquals(new AttachmentId("c1", "eth0"), request.attachment().id());
    assertEquals("/no/such/namespace", request.attachment().sandbox());
    assertEquals(Map.of("IgnoreUnknown", "1", "K", "V"), request.attachment().args().toMap());
    assertEquals(1400, request.prevResult().orElseThrow().interfaces().getFirst().mtu());
    assertEquals("upper", request.config().type());
    assertTrue(request.config().json().has("key"));
    assertFalse(request.config().json().has("prevResult"));
    assertTrue(request.context().trace().variables().containsKey("TRACEPARENT"));
    assertEquals("1.1.0", json().get("cniVersion").asString());
    assertEquals(1400, json().at("/interfaces/0/mtu").intValue());
    environment.put("CNI_COMMAND", "DEL");
    environment.remove("CNI_NETNS");
    assertEquals(0, serve(CONFIG.formatted("\"a\": 1")));
    assertEquals("DEL", plugin.verb);
    assertEquals("", out);
  }

  @Test
  void gcAcceptsEitherKeyForValidAttachments() {
    environment.keySet().retainAll(Set.of("CNI_PATH"));
    environment.put("CNI_COMMAND", "GC");
    for (String key : List.of("cni.dev/valid-attachments", "cni.dev/attachments")) {
      String valid = "\"%s\": [{ \"containerID\": \"c1\", \"ifname\": \"eth0\" }]".formatted(key);
      assertEquals(0, serve(CONFIG.formatted(valid)), () -> out);
      var request = (GcRequest) plugin.requests.getLast();
      assertEquals(Set.of(new AttachmentId("c1", "eth0")), request.valid());
      assertFalse(request.config().json().has(key));
    }
    environment.put("CNI_COMMAND", "STATUS");
    assertEquals(0, serve(CONFIG.formatted("\"a\": 1")), () -> out);
    assertEquals("STATUS", plugin.verb);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ADD|CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH",
        "CHECK|CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH",
        "DEL|CNI_CONTAINERID,CNI_IFNAME,CNI_PATH",
        "GC|CNI_PATH",
        "STATUS|CNI_PATH"
      })
  void missingVariablesAreNamed(String verb, String missing) throws Exception {
    environment.clear();
    environment.put("CNI_COMMAND", verb);
    assertEquals(1, serve(CONFIG.formatted("\"a\": 1")));
    assertError(4, "[" + missing + "] missing");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "CNI_COMMAND|EXPLODE|4|unknown CNI_COMMAND",
        "CNI_COMMAND|add|4|unknown CNI_COMMAND",
        "CNI_CONTAINERID|../c|4|CNI_CONTAINERID",
        "CNI_IFNAME|eth/0|4|CNI_IFNAME",
        "CNI_NETNS|/proc/self/ns/net|8|is the namespace that this plugin runs in"
      })
  void invalidVariablesAreRefused(String name, String value, int code, String part)
      throws Exception {
    environment.put(name, value);
    assertEquals(1, serve(CONFIG.formatted("\"a\": 1")));
    assertError(code, part);
    assertEquals("", plugin.verb);
  }

  @Test
  void overrideAllowsTheHostNamespace() {
    environment.put("CNI_NETNS", "/proc/self/ns/net");
    for (String override : List.of("1", "TRUE", "true")) {
      environment.put("CNI_NETNS_OVERRIDE", override);
      assertEquals(0, serve(CONFIG.formatted("\"a\": 1")), () -> out);
      assertTrue(plugin.requests.getLast().context().allowsHostNamespace());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "''|6|standard input is empty",
        "[]|6|must be a JSON object, not a list",
        "null|6|must be a JSON object, not null",
        "' '|6|is empty; it must be a JSON object",
        "{ \"name\": |6|line 1",
        "{ \"cniVersion\": \"1.1.0\" }|7|name is missing",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"a/b\" }|7|a/b",
        "{ \"cniVersion\": \"1.0.0\", \"name\": \"n\" }|1|config is 1.0.0, plugin recording supports 0.3.1, 0.4.0, 1.1.0",
        "{ \"cniVersion\": \"9.9.9\", \"name\": \"n\" }|1|config is 9.9.9",
        "{ \"name\": \"n\" }|1|config is 0.1.0",
        "{ \"cniVersion\": \"x\", \"name\": \"n\" }|6|cniVersion",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"prevResult\": 1 }|7|prevResult",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"prevResult\": { \"ips\": [{}] } }|6|prevResult",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"do\": \"fail\" }|107|requested failure",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"do\": \"throw\" }|999|oops",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"do\": \"link\" }|999|NoClassDefFoundError: oops",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"do\": \"recurse\" }|999|StackOverflowError",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"do\": \"allocate\" }|999|OutOfMemoryError",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"name\": \"m\" }|7|name appears more than once",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"do\": \"fail\", \"do\": \"\" }|7|do appears more than once",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"prevResult\": {}, \"prevResult\": {} }|7|prevResult appears"
      })
  void invalidInputIsRefused(String input, int code, String part) throws Exception {
    assertEquals(1, serve(input));
    assertError(code, part);
  }

  @Test
  void malformedArgumentsAreRefusedOnlyByPluginsThatReadThem() throws Exception {
    environment.put("CNI_ARGS", "none");
    for (String verb : List.of("ADD", "CHECK")) {
      environment.put("CNI_COMMAND", verb);
      assertEquals(0, serve(CONFIG.formatted("\"a\": 1")), () -> out);
      var request = (AttachmentRequest) plugin.requests.getLast();
      assertEquals("none", request.attachment().args().text()); // as a delegate gets it
      assertEquals(1, serve(CONFIG.formatted("\"do\": \"args\"")));
      assertError(4, "CNI_ARGS: \"none\" must be of the form KEY=VALUE");
    }
  }

  @Test
  void deepNestingAndHugeNumbersAreDecodingErrors() throws Exception {
    assertEquals(1, serve(CONFIG.formatted("\"a\": " + "[".repeat(1_000_000))));
    assertError(6, "nesting depth");
    assertEquals(1, serve(CONFIG.formatted("\"a\": " + "{\"a\":".repeat(100_000))));
    assertError(6, "nesting depth");
    assertEquals(1, serve(CONFIG.formatted("\"a\": 1e999999999")));
    assertError(6, "a number is out of range");
    assertEquals(1, serve(CONFIG.formatted("\"a\": " + "9".repeat(1_000_000))));
    assertError(6, "exceeds the maximum allowed (1000)");
  }

  @Test
  void errorsQuoteLittleOfLongValues() throws Exception {
    for (String wrong :
        List.of(
            "\"prevResult\": { \"ips\": [{ \"address\": \"" + "x".repeat(100_000) + "\" }] }",
            "\"prevResult\": [" + "1,".repeat(100_000) + "1]",
            "\"name\": \"" + "x".repeat(100_000) + "\"")) {
      String config = wrong.contains("name") ? "{ " + wrong + " }" : CONFIG.formatted(wrong);
      assertEquals(1, serve(config));
      assertTrue(out.length() < 1000, () -> "length " + out.length());
      assertTrue(out.contains(" characters)"), out);
    }
  }

  @Test
  void outputIsLaidOutAsByTheGoPlugins() {
    String previous =
        "\"prevResult\": { \"interfaces\": [{ \"name\": \"eth\u00e9\" }], \"ips\": [{ \"address\": \"10.0.0.5/8\" }] }";
    assertEquals(0, serve(CONFIG.formatted(previous)));
    assertEquals(
        """
        {
            "cniVersion": "1.1.0",
            "interfaces": [
                {
                    "name": "eth\u00e9"
                }
            ],
            "ips": [
                {
                    "address": "10.0.0.5/8"
                }
            ]
        }
        """,
        out);
    assertEquals(1, serve("{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"do\": \"fail\" }"));
    assertEquals(
        """
        {
            "cniVersion": "1.1.0",
            "code": 107,
            "msg": "requested failure",
            "details": "in detail"
        }
        """,
        out);
    environment.put("CNI_COMMAND", "VERSION");
    assertEquals(0, serve(""));
    assertTrue(out.contains("\n    \"supportedVersions\": [\n        \"0.3.1\",\n"), out);
  }

  @Test
  void verbsNewerThanTheConfigurationAreRefused() throws Exception {
    String old = "{ \"cniVersion\": \"%s\", \"name\": \"n\" }";
    environment.put("CNI_COMMAND", "CHECK");
    assertEquals(1, serve(old.formatted("0.3.1")));
    assertError(1, "CHECK exists since 0.4.0");
    for (String verb : List.of("GC", "STATUS")) {
      environment.put("CNI_COMMAND", verb);
      assertEquals(1, serve(old.formatted("0.4.0")));
      assertError(1, verb + " exists since 1.1.0");
    }
  }

  @Test
  void inputBeyondTheLimitIsRefused() throws Exception {
    assertEquals(1, serve(new EndlessInput()));
    assertError(5, "longer than");
  }

  /** An endless stream of spaces. */
  private static final class EndlessInput extends InputStream {
    @Override
    public int read() {
      return ' ';
    }

    @Override
    public int read(byte[] bytes, int offset, int length) {
      java.util.Arrays.fill(bytes, offset, offset + length, (byte) ' ');
      return length;
    }
  }

  /** A stream that must not be read: it would block. */
  private static final class UnreadableInput extends InputStream {
    @Override
    public int read() {
      throw new AssertionError("standard input was read");
    }

    @Override
    public int read(byte[] bytes, int offset, int length) {
      return read();
    }
  }

  @Test
  void delIgnoresMalformedOptionalParts() {
    environment.put("CNI_COMMAND", "DEL");
    environment.put("CNI_ARGS", "novalue");
    for (String previous : List.of("1", "{ \"cniVersion\": \"9.0.0\" }", "{ \"ips\": [{}] }")) {
      assertEquals(0, serve(CONFIG.formatted("\"prevResult\": " + previous)), () -> out);
      var request = (AttachmentRequest) plugin.requests.getLast();
      assertTrue(request.prevResult().isEmpty() && request.attachment().args().isEmpty());
      assertTrue(err.contains("DEL goes on without it"), err);
    }
  }

  @Test
  void versionIsPrintedWithAndWithoutInput() throws Exception {
    environment.clear();
    environment.put("CNI_COMMAND", "VERSION");
    assertEquals(0, serve(""));
    assertEquals(
        Json.parse(
            "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.1.0\"]}",
            "expected"),
        json());
    assertEquals(0, serve(new UnreadableInput())); // VERSION does not read standard input
  }

  @Test
  void withoutCommandItPrintsItsDescription() {
    environment.remove("CNI_COMMAND");
    assertEquals(0, serve(""));
    assertEquals("", out);
    assertEquals(
        "CNI recording plugin\nCNI protocol versions supported: 0.3.1, 0.4.0, 1.1.0\n", err);
  }

  @Test
  void errorDetailsArePrinted() throws Exception {
    serve("{ \"cniVersion\": \"0.4.0\", \"name\": \"n\", \"do\": \"fail\" }");
    assertEquals("in detail", json().get("details").asString());
    assertEquals("0.4.0", json().get("cniVersion").asString());
  }

  @Test
  void stackTraceOfABugIsInTheDetailsAndOnStandardError() throws Exception {
    assertEquals(1, serve("{ \"cniVersion\": \"0.4.0\", \"name\": \"n\", \"do\": \"throw\" }"));
    assertEquals(
        "recording: unexpected java.lang.IllegalStateException: oops",
        json().get("msg").asString());
    String frame = "at " + RecordingPlugin.class.getName() + ".record(RecordingPlugin.java:";
    assertTrue(json().get("details").asString().contains(frame), out);
    assertTrue(err.contains(frame), err);
  }

  @Test
  void inputThatIsNotJsonHasNoTrace() throws Exception {
    for (ServedPlugin.Traces each : ServedPlugin.Traces.values()) {
      traces = each;
      assertEquals(1, serve("{bad"));
      assertEquals(6, json().get("code").asInt());
      assertFalse(json().has("details"), out);
    }
  }

  @Test
  void traceOfAnExpectedCauseIsInTheDetailsForItsAuthorOnly() throws Exception {
    String config = "{ \"cniVersion\": \"0.4.0\", \"name\": \"n\", \"do\": \"read\" }";
    assertEquals(1, serve(config));
    assertEquals("not read", json().get("msg").asString());
    assertFalse(json().has("details"), out);
    traces = ServedPlugin.Traces.ALL_CAUSES;
    assertEquals(1, serve(config));
    assertEquals("not read", json().get("msg").asString());
    String start =
        "java.io.IOException: oops\n\tat " + RecordingPlugin.class.getName() + ".record(";
    assertTrue(json().get("details").asString().startsWith(start), out);
  }
}
