// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.PluginConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RememberedConfigsTest {
  private static final int WRITERS = 8;
  private static final int WRITES = 200;

  @TempDir private Path directory;

  private static final class LogMessages extends Handler {
    final List<String> messages = new CopyOnWriteArrayList<>();

    @Override
    public void publish(LogRecord record) {
      messages.add(record.getMessage());
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
  }

  private PluginConfig config(int version) throws CniException {
    return TestNode.of("a", List.of("http://127.0.0.1:1"), directory)
        .with("\"timeout\":" + (version + 1) + "," + TestNode.DUAL_STACK)
        .config();
  }

  @Test
  void writersOfOneNetworkDoNotDisturbEachOther() throws Exception {
    var host = new SimulatedHost(directory);
    var log = new LogMessages();
    Logger logger = Logger.getLogger("cni.plugins.etcd");
    logger.addHandler(log);
    try (ExecutorService threads = Executors.newFixedThreadPool(WRITERS)) {
      List<Future<?>> writers = new ArrayList<>();
      for (int i = 0; i < WRITERS; i++) {
        int writer = i;
        writers.add(
            threads.submit(
                () -> {
                  var configs = new RememberedConfigs(host);
                  for (int j = 0; j < WRITES; j++) {
                    configs.write(config((writer + j) % WRITERS));
                  }
                  return null;
                }));
      }
      for (Future<?> it : writers) {
        it.get();
      }
    } finally {
      logger.removeHandler(log);
    }
    assertEquals(List.of(), log.messages);
    assertEquals(1, new RememberedConfigs(host).read().size());
    try (Stream<Path> files = Files.list(directory.resolve("etcd"))) {
      List<String> names = files.map(it -> it.getFileName().toString()).toList();
      assertTrue(names.equals(List.of("n.conf")), names::toString);
    }
  }
}
