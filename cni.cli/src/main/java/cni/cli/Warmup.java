package cni.cli;

import cni.api.Json;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * What takes a new process long, and can be done on a thread of its own while the process reads
 * options and configurations. Whoever needs it before it is done waits; if it fails, it fails again
 * for whoever needs it, and is told then.
 */
final class Warmup {
  private Warmup() {}

  /** For processes that read or write JSON: initializing its numbers takes some 8 ms. */
  static void json() {
    startThread(Warmup::initializeJson);
  }

  /**
   * For processes that go to the kernel: linking C functions takes some 30 ms, finding out who
   * computes hashes 6 ms.
   */
  static void kernel() {
    startThread(
        () -> {
          linkLibc();
          initializeJson();
          loadSha512();
        });
  }

  private static void startThread(Runnable work) {
    try {
      Thread.ofPlatform().daemon().name("cni-head-start").start(work);
    } catch (OutOfMemoryError e) {
      return; // no thread could be made
    }
  }

  /** By any operation that takes a path and gives a structure: that needs all there is to link. */
  private static void linkLibc() {
    try {
      NetNs.ownIdentity();
    } catch (KernelException | LinkageError e) {
      return; // told to whoever calls a function
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
