// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkRequest;
import java.io.IOException;

/** Checks of the host for STATUS: what ADD would not find there is an error with code 50. */
public final class HostReadiness {
  private HostReadiness() {}

  /** A check of the host. */
  @FunctionalInterface
  public interface Check {
    /**
     * Checks the host.
     *
     * @throws CniException if ADD would fail
     */
    void check(NetNsSession host) throws CniException, IOException;
  }

  /**
   * Runs a check in the host's namespace.
   *
   * @throws CniException the check's error, with code 50 unless it has code 51; code 50 if there is
   *     no such namespace
   */
  public static void require(NetworkRequest request, Check check) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      check.check(host);
    } catch (CniException e) {
      if (e.is(ErrorCode.NOT_AVAILABLE) || e.is(ErrorCode.LIMITED_CONNECTIVITY)) {
        throw e;
      }
      throw new CniException(ErrorCode.NOT_AVAILABLE, String.valueOf(e.getMessage()), e);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE, "the host cannot be examined: " + e.getMessage(), e);
    }
  }
}
