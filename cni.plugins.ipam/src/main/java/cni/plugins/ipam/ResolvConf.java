// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam;

import cni.api.CniException;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.internal.IoErrors;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Parser of resolv.conf(5). */
public final class ResolvConf {
  /** In bytes; far beyond what resolvers use: three name servers and, before glibc 2.26, 256. */
  private static final int MAX_SIZE = 64 << 10;

  private ResolvConf() {}

  /**
   * Reads the resolver settings of a file.
   *
   * @throws CniException code 5 if it cannot be read
   */
  public static Dns read(Path file) throws CniException {
    try {
      byte[] content = RegularFiles.read(file, MAX_SIZE);
      return parse(new String(content, StandardCharsets.ISO_8859_1).lines().toList());
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          "ipam.resolvConf " + file + " cannot be read: " + IoErrors.reason(e),
          e);
    }
  }

  /** Parses lines; those that are not a known setting are ignored. */
  static Dns parse(List<String> lines) {
    List<String> nameservers = new ArrayList<>();
    List<String> search = new ArrayList<>();
    List<String> options = new ArrayList<>();
    String domain = "";
    for (String line : lines) {
      List<String> words = Arrays.asList(line.strip().split("\\s+", -1));
      if (words.size() < 2 || line.strip().startsWith("#") || line.strip().startsWith(";")) {
        continue;
      }
      List<String> values = words.subList(1, words.size());
      switch (words.getFirst()) {
        case "nameserver" -> nameservers.add(values.getFirst());
        case "domain" -> domain = values.getFirst();
        case "search" -> search.addAll(values);
        case "options" -> options.addAll(values);
        default -> {} // sortlist, or an unknown keyword
      }
    }
    return new Dns(nameservers, domain, search, options);
  }
}
