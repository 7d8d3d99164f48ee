// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.NetlinkResponse;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Rtnetlink requests that go out in one send, some of which may fail with an errno that means that
 * there was nothing to do: EEXIST after another attachment added the same, ESRCH or EADDRNOTAVAIL
 * after it was removed. The kernel processes every request, even if earlier ones fail.
 */
public final class RequestBatch {
  private final List<NetlinkRequest> requests = new ArrayList<>();
  private final List<int[]> ignoredErrnos = new ArrayList<>();

  /** Creates an empty batch. */
  public RequestBatch() {}

  /** Appends a request none of whose errors is ignored. */
  public RequestBatch add(NetlinkRequest request) {
    return addIgnoring(request);
  }

  /** Appends a request whose failure with one of the errnos is no failure. */
  public RequestBatch addIgnoring(NetlinkRequest request, int... errnos) {
    requests.add(request);
    ignoredErrnos.add(errnos);
    return this;
  }

  /** Whether nothing has been appended. */
  public boolean isEmpty() {
    return requests.isEmpty();
  }

  /**
   * Sends all requests, if there are any, and reads the response to each.
   *
   * @throws NetlinkException the first error that is not ignored
   * @throws IOException if the socket fails
   */
  public void execute(RouteSocket rtnetlink) throws IOException {
    if (requests.isEmpty()) {
      return;
    }
    List<NetlinkResponse> responses = rtnetlink.exchange(requests);
    for (int i = 0; i < responses.size(); i++) {
      Optional<NetlinkException> error = responses.get(i).error();
      if (error.isPresent() && IntStream.of(ignoredErrnos.get(i)).noneMatch(error.get()::is)) {
        throw error.get();
      }
    }
  }
}
