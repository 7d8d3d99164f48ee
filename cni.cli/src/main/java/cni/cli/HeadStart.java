package cni.cli;

import cni.api.Json;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetNs;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * What takes a new process long, and can be done on a thread of its own while the process reads
 * options and configurations. Whoever needs it before it is done waits; if it fails, it fails again
 * for whoever needs it, and is told then.
 */
final class HeadStart {
  private HeadStart() {}

  /** For processes that read or write JSON: initializing its numbers takes some 8 ms. */
  static void json() {
    begin(HeadStart::makeJson);
  }

  /**
   * For processes that go to the kernel: linking C functions takes some 30 ms, finding out who
   * computes hashes 6 ms.
   */
  static void kernel() {
    begin(
        () -> {
          linkFunctions();
          makeJson();
          findHash();
        });
  }

  private static void begin(Runnable work) {
    try {
      Thread.ofPlatform().daemon().name("cni-head-start").start(work);
    } catch (OutOfMemoryError e) {
      return; // no thread could be made
    }
  }

  /** By any operation that takes a path and gives a structure: that needs all there is to link. */
  private static void linkFunctions() {
    try {
      NetNs.own();
    } catch (KernelException | LinkageError e) {
      return; // told to whoever calls a function
    }
  }

  private static void makeJson() {
    Json.object().put("", "");
  }

  private static void findHash() {
    try {
      MessageDigest.getInstance("SHA-512");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java platform has SHA-512
    }
  }
}
