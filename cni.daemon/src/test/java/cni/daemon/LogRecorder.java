// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** Records what is logged. */
final class LogRecorder extends Handler implements AutoCloseable {
  private final Logger logger;
  private final List<String> messages = new CopyOnWriteArrayList<>();

  LogRecorder(String name) {
    logger = Logger.getLogger(name);
    logger.addHandler(this);
  }

  /** Returns the messages about a file: tests in other threads log, too. */
  List<String> messages(Path file) {
    return messages.stream().filter(it -> it.contains(file.toString())).toList();
  }

  @Override
  public void publish(LogRecord record) {
    messages.add(record.getMessage());
  }

  @Override
  public void flush() {
    // Nothing is buffered.
  }

  @Override
  public void close() {
    logger.removeHandler(this);
  }
}
