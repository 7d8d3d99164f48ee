// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * A JUnit extension with an {@link EtcdCluster} that the tests of a class share. It is started
 * before the methods annotated with BeforeAll. All keys and their history are deleted after the
 * methods annotated with AfterEach, by which time each member must be running again. The logs of
 * the members are printed if a test fails.
 */
final class SharedEtcd implements BeforeAllCallback, AfterEachCallback, AfterAllCallback {
  private final EtcdClusterOptions options;
  private @Nullable EtcdCluster cluster;

  private SharedEtcd(EtcdClusterOptions options) {
    this.options = options;
  }

  /**
   * Returns the extension for a static field.
   *
   * @param members the number of members, 1 or 3
   */
  static SharedEtcd of(int members) {
    return of(EtcdClusterOptions.members(members));
  }

  /** Returns the extension for a static field. */
  static SharedEtcd of(EtcdClusterOptions options) {
    return new SharedEtcd(options);
  }

  @Override
  public void beforeAll(ExtensionContext context) throws Exception {
    cluster = EtcdCluster.start(options);
  }

  @Override
  public void afterEach(ExtensionContext context) throws Exception {
    if (context.getExecutionException().isPresent()) {
      printLogs(context.getDisplayName());
    }
    etcdctl("del", "--prefix", "");
    cluster().compact(); // the next test begins with an empty history
  }

  private void printLogs(String test) throws IOException {
    for (EtcdMember it : cluster().members()) {
      System.out.printf("%s has failed; log of %s:%n%s%n", test, it.name(), it.excerpt());
    }
  }

  @Override
  public void afterAll(ExtensionContext context) throws Exception {
    if (cluster != null) {
      cluster.close();
    }
  }

  EtcdCluster cluster() {
    if (cluster == null) {
      throw new IllegalStateException("the cluster is started before the first test");
    }
    return cluster;
  }

  /** Returns the URLs of all members. */
  List<String> endpoints() {
    return cluster().endpoints();
  }

  /** Runs etcdctl as {@link EtcdCluster#etcdctl} does. */
  String etcdctl(String... arguments) throws IOException, InterruptedException {
    return cluster().etcdctl(arguments);
  }

  /** Returns the keys with a prefix, sorted. */
  List<String> keys(String prefix) throws IOException, InterruptedException {
    return etcdctl("get", "--prefix", "--keys-only", prefix)
        .lines()
        .filter(it -> !it.isEmpty())
        .toList();
  }

  boolean exists(String key) throws IOException, InterruptedException {
    return !etcdctl("get", key, "--keys-only").isBlank();
  }

  /** Waits until the resident host of a node is registered, which a renewal of its lease does. */
  void awaitHost(String node) throws Exception {
    String key = TestNode.PREFIX + "/nodes/" + node;
    Polling.await(
        "the host of node " + node + " is registered",
        () -> etcdctl("get", key).contains("\"host\":true"));
  }

  /** Returns a node whose plugin uses all members. */
  TestNode node(String name, Path directory) {
    return TestNode.of(name, endpoints(), directory);
  }

  /** Returns what was wrong with any state of the plugin's keys. */
  List<String> violations() throws Exception {
    return new AllocationHistory(TestNode.PREFIX, new EtcdEvents(cluster(), TestNode.PREFIX))
        .violations();
  }
}
