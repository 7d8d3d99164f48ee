// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Json;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * Expensive initialization that runs on a second thread while the process reads options and
 * configurations. Class initialization makes later users wait for it. Failures are ignored here;
 * they resurface at first use.
 */
final class Warmup {
  private Warmup() {}

  /** Initializes JSON: its number tables take about 8 ms. */
  static void json() {
    startThread(Warmup::initializeJson);
  }

  /**
   * Initializes what an attachment needs: linking the C functions takes about 30 ms, JSON 8 ms, and
   * finding the provider of SHA-512 6 ms.
   */
  static void kernel() {
    startThread(
        () -> {
          linkLibc();
          initializeJson();
          loadSha512();
        });
  }

  private static void startThread(Runnable initialization) {
    try {
      Thread.ofPlatform().daemon().name("cni-warmup").start(initialization);
    } catch (OutOfMemoryError e) {
      return; // the thread could not be created
    }
  }

  /** Links everything by an operation that passes a path and returns a structure. */
  private static void linkLibc() {
    try {
      NetNs.ownIdentity();
    } catch (KernelException | LinkageError e) {
      return; // resurfaces at the next call of a C function
    }
  }

  private static void initializeJson() {
    Json.object().put("", "");
  }

  private static void loadSha512() {
    try {
      MessageDigest.getInstance("SHA-512");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java platform has SHA-512
    }
  }
}
