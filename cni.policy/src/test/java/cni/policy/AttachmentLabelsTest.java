// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.PluginConfig;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AttachmentLabelsTest {
  private static final CallContext CONTEXT =
      new CallContext(
          Optional.empty(),
          Deadline.none(),
          type -> {
            throw new CniException(ErrorCode.INVALID_CONFIG, "no plugin " + type);
          });

  /**
   * Returns a request.
   *
   * @param keys of the configuration, after the type
   */
  private static AttachmentRequest request(String keys, String args) throws CniException {
    String json = "{\"type\": \"policy\"" + (keys.isEmpty() ? "" : ", " + keys) + "}";
    PluginConfig config = PluginConfig.of(new ConfigObject(Json.parse(json, "test"), ""));
    var id = new AttachmentId("c1", "eth0");
    var attachment = new Attachment(id, Optional.empty(), CniArgs.ofText(args), Map.of());
    return new AttachmentRequest(config, attachment, Optional.empty(), CONTEXT);
  }

  @Test
  void thereNeedNotBeAny() throws CniException {
    assertEquals(Map.of(), AttachmentLabels.labels(request("", "")));
    assertEquals(Map.of(), AttachmentLabels.ports(request("\"runtimeConfig\": {}", "")));
  }

  @Test
  void theFirstOfTheSourcesIsUsed() throws CniException {
    AttachmentRequest request =
        request(
            """
            "runtimeConfig": {"labels": {"a": "1", "x.y/z": ""}},
            "args": {"cni": {"labels": [{"key": "a", "value": "2"}, {"key": "b", "value": "2"}]}}
            """,
            "IgnoreUnknown=1;LABELS=a=3,b=3,c=3,d=;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0");
    assertEquals(
        Map.of(
            "a",
            "1",
            "b",
            "2",
            "c",
            "3",
            "d",
            "",
            "x.y/z",
            "",
            "io.kubernetes.pod.namespace",
            "shop",
            "io.kubernetes.pod.name",
            "web-0"),
        AttachmentLabels.labels(request));
  }

  @Test
  void aLabelOfAPodCanBeGivenExplicitly() throws CniException {
    AttachmentRequest request =
        request("", "K8S_POD_NAMESPACE=shop;LABELS=io.kubernetes.pod.namespace=other");
    assertEquals(Map.of(Labels.NAMESPACE, "other"), AttachmentLabels.labels(request));
  }

  @Test
  void theNameOfAPodMayBeLong() throws CniException {
    String name = "a".repeat(100) + "." + "b".repeat(100);
    assertEquals(
        Map.of(Labels.POD_NAME, name),
        AttachmentLabels.labels(request("", "K8S_POD_NAMESPACE=;K8S_POD_NAME=" + name)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"runtimeConfig\": {\"labels\": []} | `` | 7 | runtimeConfig.labels must be an object",
        "\"runtimeConfig\": {\"labels\": {\"a\": 1}} | `` | 7 | runtimeConfig.labels.a must be a string",
        "\"runtimeConfig\": {\"labels\": {\"a\": \"b c\"}} | `` | 7 | runtimeConfig.labels.a \"b c\" is no value of a label",
        "\"runtimeConfig\": {\"labels\": {\"a b\": \"c\"}} | `` | 7 | runtimeConfig.labels.a b \"c\" is no label",
        "\"runtimeConfig\": {\"labels\": {\"a\": \"b\", \"a\": \"c\"}} | `` | 7 | runtimeConfig.labels.a appears more than once",
        "\"args\": {\"cni\": {\"labels\": {}}} | `` | 7 | args.cni.labels must be a list",
        "\"args\": {\"cni\": {\"labels\": [{\"value\": \"b\"}]}} | `` | 7 | args.cni.labels[0].key is missing",
        "\"args\": {\"cni\": {\"labels\": [{\"key\": \"/b\"}]}} | `` | 7 | args.cni.labels[0].key \"/b\" is no label",
        "`` | LABELS=a | 4 | CNI_ARGS: LABELS \"a\" must be of the form key=value",
        "`` | LABELS=a=b,c=d=e | 4 | CNI_ARGS: LABELS \"c=d=e\" is invalid: \"d=e\" is no value of a label",
        "`` | LABELS==b | 4 | CNI_ARGS: LABELS \"=b\" is invalid: \"\" is no label",
        "`` | K8S_POD_NAMESPACE=A_b | 4 | CNI_ARGS: K8S_POD_NAMESPACE \"A_b\" must have lower-case",
        "`` | LABELS | 4 | CNI_ARGS: \"LABELS\" must be of the form KEY=VALUE",
      })
  void badLabelsAreRefused(String keys, String args, int code, String message) throws CniException {
    AttachmentRequest request = request(keys, args);
    CniException e = assertThrows(CniException.class, () -> AttachmentLabels.labels(request));
    assertEquals(code, e.code());
    assertTrue(e.getMessage().startsWith(message), e::getMessage);
  }

  private static Map<String, Endpoint.NamedPort> ports(String ports) throws CniException {
    return AttachmentLabels.ports(
        request("\"runtimeConfig\": {\"namedPorts\": " + ports + "}", ""));
  }

  @Test
  void namesOfPorts() throws CniException {
    assertEquals(
        Map.of(
            "http", new Endpoint.NamedPort(Protocol.TCP, 8080),
            "dns", new Endpoint.NamedPort(Protocol.UDP, 53),
            "web", new Endpoint.NamedPort(Protocol.TCP, 80),
            "ctl", new Endpoint.NamedPort(Protocol.SCTP, 9)),
        ports(
            """
            {"http": {"port": 8080}, "dns": {"port": 53, "protocol": "UDP"},
             "web": "80", "ctl": "9/sctp"}
            """));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[] | runtimeConfig.namedPorts must be an object",
        "{\"Http\": \"80\"} | runtimeConfig.namedPorts.Http \"80\" is no name of a port",
        "{\"http\": \"0\"} | runtimeConfig.namedPorts.http \"0\" must be a port from 1 to 65535",
        "{\"http\": \"70000/tcp\"} | runtimeConfig.namedPorts.http \"70000/tcp\" must be a port",
        "{\"http\": \"tcp/80\"} | runtimeConfig.namedPorts.http \"tcp/80\" must be a port",
        "{\"http\": \"80/icmp\"} | runtimeConfig.namedPorts.http \"80/icmp\" has no protocol with ports",
        "{\"http\": 80} | runtimeConfig.namedPorts.http must be an object",
        "{\"http\": {}} | runtimeConfig.namedPorts.http.port is missing",
        "{\"http\": {\"port\": 65536}} | runtimeConfig.namedPorts.http.port 65536 must be between",
        "{\"http\": {\"port\": 1, \"protocol\": \"X\"}} | runtimeConfig.namedPorts.http.protocol \"X\" has no protocol",
      })
  void badNamesOfPortsAreRefused(String json, String message) {
    CniException e = assertThrows(CniException.class, () -> ports(json));
    assertEquals(7, e.code());
    assertTrue(e.getMessage().startsWith(message), e::getMessage);
  }
}
