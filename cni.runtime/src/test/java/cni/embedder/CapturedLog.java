// SPDX-License-Identifier: Apache-2.0
package cni.embedder;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** What a logger writes while this is open; nothing of it reaches the console. */
final class CapturedLog extends Handler implements AutoCloseable {
  private final Logger logger; // a strong reference: the log manager has a weak one
  private final List<LogRecord> records = new CopyOnWriteArrayList<>();

  CapturedLog(String name) {
    logger = Logger.getLogger(name);
    logger.setUseParentHandlers(false);
    logger.addHandler(this);
  }

  /** Returns the messages and stack traces. */
  String text() {
    var text = new StringWriter();
    var out = new PrintWriter(text);
    for (LogRecord it : records) {
      out.println(it.getMessage());
      if (it.getThrown() != null) {
        it.getThrown().printStackTrace(out);
      }
    }
    return text.toString();
  }

  @Override
  public void publish(LogRecord logged) {
    records.add(logged);
  }

  @Override
  public void flush() {
    // nothing is buffered
  }

  @Override
  public void close() {
    logger.removeHandler(this);
    logger.setUseParentHandlers(true);
  }
}
