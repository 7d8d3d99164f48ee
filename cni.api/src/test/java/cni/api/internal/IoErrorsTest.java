// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotLinkException;
import org.junit.jupiter.api.Test;

class IoErrorsTest {
  @Test
  void reasonLeavesOutTheFile() {
    assertEquals("no such file or directory", IoErrors.reason(new NoSuchFileException("/a")));
    assertEquals("permission denied", IoErrors.reason(new AccessDeniedException("/a")));
    assertEquals("file exists", IoErrors.reason(new FileAlreadyExistsException("/a")));
    assertEquals("disk full", IoErrors.reason(new FileSystemException("/a", null, "disk full")));
    assertEquals("NotLinkException", IoErrors.reason(new NotLinkException("/a")));
    assertEquals("broken", IoErrors.reason(new IOException("broken")));
    assertEquals("IOException", IoErrors.reason(new IOException()));
  }

  @Test
  void descriptionNamesTheFile() {
    assertEquals("/a does not exist", IoErrors.describe(new NoSuchFileException("/a")));
    assertEquals("/a: permission denied", IoErrors.describe(new AccessDeniedException("/a")));
    assertEquals(
        "/a: disk full", IoErrors.describe(new FileSystemException("/a", null, "disk full")));
    var listing = new DirectoryIteratorException(new NoSuchFileException("/a"));
    assertEquals("/a does not exist", IoErrors.describe(listing));
    assertEquals("broken", IoErrors.describe(new IOException("broken")));
  }

  @Test
  void failureHasTheActionAndTheCause() {
    var cause = new NoSuchFileException("/a");
    CniException e = IoErrors.failure("reading the file", cause);
    assertTrue(e.is(ErrorCode.INTERNAL));
    assertEquals("reading the file: /a does not exist", e.getMessage());
    assertEquals(cause, e.getCause());
  }
}
