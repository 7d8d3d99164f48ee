// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AddressRegistry;
import cni.api.Capability;
import cni.api.CapabilityArgs;
import cni.api.Cidr;
import cni.api.ClusterAddressRegistry;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ConfigRecorder;
import cni.api.Deadline;
import cni.api.Delegates;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.IpRange;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.PluginDaemon;
import cni.api.PluginHost;
import cni.api.ResidentPlugin;
import cni.api.Rollback;
import cni.api.TraceContext;
import cni.api.UpdatablePlugin;
import cni.exec.StderrHandler;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.lang.reflect.RecordComponent;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** A valid value for each type that methods of exported packages take or belong to. */
final class SampleArguments {
  private static final String CONFIG =
      "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"first\"}]}";

  /** Interfaces that only plugins and callers implement; a proxy runs their default methods. */
  private static final Set<Class<?>> IMPLEMENTED_ELSEWHERE =
      Set.of(
          NetworkPlugin.class,
          AddressRegistry.class,
          ClusterAddressRegistry.class,
          UpdatablePlugin.class,
          ResidentPlugin.class,
          PluginDaemon.class,
          PluginHost.class,
          PluginCallObserver.class,
          StderrHandler.class,
          Delegates.class,
          NetworkConfig.PluginSource.class,
          Differences.Action.class,
          Differences.Attempt.class,
          Differences.Resource.class,
          Rollback.Operation.class,
          Rollback.Step.class,
          Function.class,
          Consumer.class,
          Predicate.class);

  private final Map<Class<?>, Object> samples = new HashMap<>();

  SampleArguments(Cni cni) throws Exception {
    ObjectNode plugin = Json.parse("{\"type\":\"first\"}", "test");
    byte[] config = CONFIG.getBytes(StandardCharsets.UTF_8);
    var view = new ConfigObject(plugin, "");
    InetAddress address = InetAddress.ofLiteral("10.1.0.0");
    Cidr subnet = new Cidr(address, 24);
    put(boolean.class, true);
    put(int.class, 1);
    put(long.class, 1L);
    put(String.class, "sample");
    put(byte[].class, config);
    put(Path.class, Path.of("/nonexistent/sample"));
    put(Instant.class, Instant.EPOCH);
    put(Duration.class, Duration.ofSeconds(1));
    put(BigInteger.class, BigInteger.ONE);
    put(InetAddress.class, address);
    put(Throwable.class, new IllegalStateException());
    put(
        PrintStream.class,
        new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8));
    put(ServiceLoader.class, ServiceLoader.load(NetworkPlugin.class));
    put(Optional.class, Optional.empty());
    put(OptionalInt.class, OptionalInt.empty());
    put(OptionalLong.class, OptionalLong.empty());
    put(List.class, List.of());
    put(Set.class, Set.of());
    put(Collection.class, List.of());
    put(Map.class, Map.of());
    put(JsonNode.class, plugin);
    put(ObjectNode.class, plugin);
    put(ConfigObject.class, view);
    put(ConfigRecorder.class, new ConfigRecorder());
    put(PluginConfig.class, PluginConfig.of(view));
    put(NetworkConfig.class, NetworkConfig.parse(config, "test"));
    put(Cidr.class, subnet);
    put(IpRange.class, IpRange.of(subnet));
    put(CniArgs.class, CniArgs.NONE);
    put(CapabilityArgs.class, CapabilityArgs.NONE);
    put(CapabilityArgs.Builder.class, CapabilityArgs.builder());
    put(TraceContext.class, TraceContext.NONE);
    put(Deadline.class, Deadline.none());
    put(CniException.class, new CniException(ErrorCode.INVALID_CONFIG, "sample"));
    put(Differences.class, new Differences());
    put(Rollback.class, new Rollback());
    put(AttachmentUpdate.class, AttachmentUpdate.NONE);
    put(Capability.class, Capability.MAC);
    put(Cni.class, cni);
    put(CniBuilder.class, Cni.builder());
    put(Network.class, cni.network(NetworkConfig.parse(config, "test")));
    put(NetworkCapabilities.class, cni.network(NetworkConfig.parse(config, "test")).capabilities());
    put(NetworkAddresses.class, cni.network(NetworkConfig.parse(config, "test")).addresses());
    put(PluginRegistry.class, cni.plugins());
    put(PluginOrigin.class, new PluginOrigin.Executable(Path.of("/nonexistent/sample")));
  }

  private <T> void put(Class<T> type, T sample) {
    samples.put(type, sample);
  }

  /**
   * Returns a value of the type.
   *
   * @throws IllegalArgumentException if the type is not known: add it to the table above
   */
  Object of(Class<?> type) throws Exception {
    Object known = samples.get(type);
    if (known != null) {
      return known;
    }
    if (type.isEnum()) {
      return type.getEnumConstants()[0];
    }
    if (type.isRecord()) {
      return newRecord(type);
    }
    if (type.isArray()) {
      return Array.newInstance(type.getComponentType(), 0);
    }
    if (IMPLEMENTED_ELSEWHERE.contains(type)) {
      return proxy(type);
    }
    throw new IllegalArgumentException("SampleArguments has no sample of " + type);
  }

  private Object newRecord(Class<?> type) throws Exception {
    Class<?>[] components =
        Arrays.stream(type.getRecordComponents())
            .map(RecordComponent::getType)
            .toArray(Class<?>[]::new);
    Constructor<?> constructor = type.getDeclaredConstructor(components);
    Object[] arguments = new Object[components.length];
    for (int i = 0; i < components.length; i++) {
      arguments[i] = of(components[i]);
    }
    return constructor.newInstance(arguments);
  }

  private static Object proxy(Class<?> type) {
    return Proxy.newProxyInstance(
        SampleArguments.class.getClassLoader(),
        new Class<?>[] {type},
        (proxy, method, arguments) -> {
          if (method.isDefault()) {
            return InvocationHandler.invokeDefault(proxy, method, arguments);
          }
          throw new UnsupportedOperationException(method + " of a sample was called");
        });
  }
}
