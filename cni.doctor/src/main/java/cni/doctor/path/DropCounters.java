// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What interfaces have dropped, as /proc/net/dev counts it, so that increases can be reported. */
final class DropCounters {
  private static final int HEADER_LINES = 2;
  private static final int RECEIVE_DROPS = 3;
  private static final int TRANSMIT_DROPS = 11;

  private final Map<NamespaceView, Map<String, Long>> before = new HashMap<>();

  DropCounters(Collection<NamespaceView> views) throws IOException {
    for (NamespaceView view : views) {
      before.put(view, read(view));
    }
  }

  private static Map<String, Long> read(NamespaceView view) throws IOException {
    Map<String, Long> counters = new HashMap<>();
    for (String line : view.procNet("dev").stream().skip(HEADER_LINES).toList()) {
      int colon = line.indexOf(':');
      String[] numbers = line.substring(colon + 1).strip().split(" +", -1);
      if (colon > 0 && numbers.length > TRANSMIT_DROPS) {
        String link = line.substring(0, colon).strip();
        counters.put(link + " when receiving", Long.parseLong(numbers[RECEIVE_DROPS]));
        counters.put(link + " when sending", Long.parseLong(numbers[TRANSMIT_DROPS]));
      }
    }
    return counters;
  }

  /** Returns what has been dropped since this was created, as sentences. */
  List<String> increases() throws IOException {
    List<String> increases = new ArrayList<>();
    for (Map.Entry<NamespaceView, Map<String, Long>> entry : before.entrySet()) {
      read(entry.getKey())
          .forEach(
              (counter, now) -> {
                long increase = now - entry.getValue().getOrDefault(counter, now);
                if (increase > 0) {
                  increases.add(
                      "%s: %s dropped %d %s meanwhile"
                          .formatted(
                              entry.getKey(),
                              counter,
                              increase,
                              increase == 1 ? "packet" : "packets"));
                }
              });
    }
    return increases;
  }
}
