// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.api.Attachment;
import cni.api.CapabilityArgs;
import cni.api.CniException;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.NetworkPlugin;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/**
 * The examples in the appendix of the specification: plugins get exactly the requests shown there,
 * as modules and as executables. Two things differ: a previous result has its {@code cniVersion},
 * as section 5 demands, and the routes of the ipam section, which are in the example's
 * configuration and not in its requests, are left out of both.
 */
class SpecExamplesTest {
  private static final List<String> EXPECTED =
      List.of(
          "ADD bridge",
          "ADD host-local",
          "ADD tuning",
          "ADD portmap",
          "CHECK bridge",
          "CHECK host-local",
          "CHECK tuning",
          "CHECK portmap",
          "DEL portmap",
          "DEL tuning",
          "DEL bridge",
          "DEL host-local");

  @TempDir private Path directory;

  /** An example by its name in spec-examples.json. */
  static ObjectNode example(String name) {
    try (InputStream in =
        Objects.requireNonNull(SpecExamplesTest.class.getResourceAsStream("spec-examples.json"))) {
      return (ObjectNode) Json.parse(in.readAllBytes(), "examples").get(name);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (CniException e) {
      throw new IllegalStateException(e);
    }
  }

  @BeforeEach
  void clear() {
    SpecPlugin.REQUESTS.clear();
  }

  private static NetworkConfig config() throws CniException {
    ObjectNode network = example("network");
    ((ObjectNode) network.at("/plugins/0/ipam")).remove("routes");
    return NetworkConfig.parse(Json.bytes(network), "example");
  }

  private static void run(CniBuilder builder) throws CniException {
    ObjectNode capabilities =
        Json.parse(
            """
            { "mac": "00:11:22:33:44:66",
              "portMappings": [{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }] }
            """,
            "capabilities");
    CapabilityArgs args =
        CapabilityArgs.of(
            Map.of(
                "mac", capabilities.get("mac"),
                "portMappings", capabilities.get("portMappings"),
                "unwanted", capabilities.get("mac")));
    Network network = builder.build().network(config());
    Attachment attachment =
        Attachment.of("blue", Path.of("/var/run/netns/blue"), "eth0")
            .withArgs(Map.of("argA", "foo"))
            .withCapabilityArgs(args.only(network.capabilities().names()));
    Result result = network.add(attachment);
    assertEquals(
        example("tuning result").put("cniVersion", "1.1.0"),
        ResultJson.write(result, SpecVersion.V1_1_0));
    network.check(attachment);
    network.delete(attachment);
  }

  /** The request in the specification; a delegate gets that of the plugin that calls it. */
  private static ObjectNode expected(String call) {
    ObjectNode json = example(call.replace("host-local", "bridge"));
    if (json.get("prevResult") instanceof ObjectNode previous) {
      previous.put("cniVersion", "1.1.0");
    }
    return json;
  }

  @Test
  void modulesReceiveTheRequestsOfTheSpecification() throws Exception {
    Path services = Files.createDirectories(directory.resolve("META-INF/services"));
    Files.writeString(
        services.resolve(NetworkPlugin.class.getName()),
        """
        cni.runtime.SpecPlugin$Bridge
        cni.runtime.SpecPlugin$HostLocal
        cni.runtime.SpecPlugin$Tuning
        cni.runtime.SpecPlugin$Portmap
        """);
    URI location = directory.toUri();
    try (var loader =
        new URLClassLoader(new URL[] {location.toURL()}, getClass().getClassLoader())) {
      run(
          Cni.builder()
              .cache(directory.resolve("cache"))
              .pluginLoader(ServiceLoader.load(NetworkPlugin.class, loader)));
    }
    assertEquals(EXPECTED, SpecPlugin.REQUESTS.stream().map(SpecPlugin.Request::call).toList());
    for (SpecPlugin.Request request : SpecPlugin.REQUESTS) {
      assertEquals(expected(request.call()), request.json(), request.call());
    }
  }

  @Test
  void executablesReceiveTheRequestsOfTheSpecification() throws Exception {
    Path calls = directory.resolve("calls");
    for (String type : List.of("bridge", "host-local", "tuning", "portmap")) {
      String result = directory.resolve("result-" + type).toString();
      if (!type.equals("portmap")) {
        Files.write(Path.of(result), Json.bytes(example(type + " result")));
      }
      Path file = directory.resolve(type);
      Files.writeString(file, script(type, calls, result));
      Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
    Files.write(directory.resolve("result-portmap"), Json.bytes(example("tuning result")));
    run(Cni.builder().cache(directory.resolve("cache")).executables(directory));
    assertEquals(
        EXPECTED, Files.readAllLines(calls).stream().map(line -> line.split(";", -1)[0]).toList());
    for (String line : Files.readAllLines(calls)) {
      List<String> words = List.of(line.split(";", -1));
      assertEquals(
          List.of("blue", "/var/run/netns/blue", "eth0", "argA=foo", directory.toString()),
          new ArrayList<>(words.subList(1, words.size())),
          "environment of " + words.getFirst());
      Path stdin = directory.resolve("stdin-" + words.getFirst().replace(' ', '-'));
      assertEquals(
          expected(words.getFirst()),
          Json.parse(Files.readAllBytes(stdin), "standard input"),
          words.getFirst());
    }
  }

  /** Records its environment and input, calls its delegate, and prints its result. */
  private String script(String type, Path calls, String result) {
    return """
        #!/bin/sh
        type=%s directory=%s calls=%s result=%s
        if [ $CNI_COMMAND = VERSION ]; then
          echo '{ "cniVersion": "1.1.0", "supportedVersions": ["1.0.0", "1.1.0"] }'
          exit
        fi
        echo "$CNI_COMMAND $type;$CNI_CONTAINERID;$CNI_NETNS;$CNI_IFNAME;$CNI_ARGS;$CNI_PATH" >>$calls
        cat >$directory/stdin-$CNI_COMMAND-$type
        [ $type != bridge ] || $directory/host-local <$directory/stdin-$CNI_COMMAND-$type >/dev/null
        [ $CNI_COMMAND != ADD ] || cat $result
        """
        .formatted(type, directory, calls, result);
  }
}
