package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.CLibrary;
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
    begin(HeadStart::readJson);
  }

  /**
   * For processes that go to the kernel: linking C functions takes some 30 ms, finding out who
   * computes hashes 6 ms.
   */
  static void kernel() {
    begin(
        () -> {
          CLibrary.link();
          readJson();
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

  private static void readJson() {
    try {
      Json.parse("{\"\":\"\"}", "");
    } catch (CniException e) {
      throw new IllegalStateException(e); // it is JSON
    }
  }

  private static void findHash() {
    try {
      MessageDigest.getInstance("SHA-512");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java platform has SHA-512
    }
  }
}
