// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.Names;
import cni.api.PluginConfig;
import cni.api.internal.IoErrors;
import cni.api.internal.RegularFiles;
import cni.plugins.etcd.client.EtcdOptions;
import cni.plugins.etcd.client.EtcdOptions.Credentials;
import cni.plugins.etcd.client.TlsOptions;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The part of the configuration that says where the addresses are kept and who uses them: all that
 * DEL and GC need.
 *
 * @param etcd how to reach etcd
 * @param keys the keys of the store
 * @param network the network's name
 * @param node the name of this node
 * @param releaseAfter how long a node must be lost until its addresses are released; absent if only
 *     an operator releases them
 * @param gcGrace the age below which GC leaves addresses
 * @param directory where this host remembers the state of the store that it has seen
 * @param filesModified when the files that the configuration names were last modified, so that new
 *     certificates are used
 */
record StoreConfig(
    EtcdOptions etcd,
    EtcdKeys keys,
    String network,
    String node,
    Optional<Duration> releaseAfter,
    Duration gcGrace,
    Path directory,
    List<Instant> filesModified) {
  static final String TYPE = "etcd";

  private static final String PASSWORD_FILE = "passwordFile";

  /** The keys that say how etcd is reached. */
  static final List<String> ACCESS_KEYS =
      List.of("endpoints", "tls", "user", "password", PASSWORD_FILE);

  private static final Path DEFAULT_DIRECTORY = Path.of("/var/lib/cni/etcd");
  private static final Path HOST_NAME_FILE = Path.of("/proc/sys/kernel/hostname");

  /** Labels of letters, digits, '-' and, as in certificates of containers, '_' (RFC 952, 1123). */
  private static final Pattern HOST_NAME =
      Pattern.compile("(?![0-9.]*+$)[\\w-]{1,63}(?:\\.[\\w-]{1,63})*+");

  private static final String ENDPOINT_RULES =
      "must be a URL of http or https, in lower case, with a port and without a path, such as"
          + " \"https://10.0.0.1:2379\"";

  private static final String DEFAULT_PREFIX = "/cni/ipam";

  private static final int MAX_PORT = 65_535;

  /** In seconds. */
  private static final int DEFAULT_TIMEOUT = 10;

  private static final int MAX_TIMEOUT = 600;
  private static final int DEFAULT_GC_GRACE = 5;
  private static final int MAX_GC_GRACE = 3600;
  private static final int MIN_RELEASE_AFTER = 60;

  /**
   * Parses the {@code ipam} section.
   *
   * @throws CniException code 7 if it is invalid or a file that it names cannot be read
   */
  static StoreConfig parse(PluginConfig config) throws CniException {
    ConfigObject ipam = config.requireIpam(TYPE);
    TlsOptions tls = parseTls(ipam);
    Optional<Path> passwordFile = path(ipam, PASSWORD_FILE);
    int timeout = ipam.integer("timeout", 1, MAX_TIMEOUT).orElse(DEFAULT_TIMEOUT);
    OptionalInt releaseAfter = ipam.integer("releaseAfter", MIN_RELEASE_AFTER, Integer.MAX_VALUE);
    return new StoreConfig(
        new EtcdOptions(
            parseEndpoints(ipam),
            tls,
            parseCredentials(ipam, passwordFile),
            Duration.ofSeconds(timeout)),
        new EtcdKeys(parsePrefix(ipam)),
        config.network(),
        parseNode(ipam),
        releaseAfter.isPresent()
            ? Optional.of(Duration.ofSeconds(releaseAfter.getAsInt()))
            : Optional.empty(),
        Duration.ofSeconds(ipam.integer("gcGrace", 0, MAX_GC_GRACE).orElse(DEFAULT_GC_GRACE)),
        path(ipam, "dataDir").orElse(DEFAULT_DIRECTORY),
        modificationTimes(
            Stream.of(tls.ca(), tls.cert(), tls.key(), passwordFile).flatMap(Optional::stream)));
  }

  /** Returns the configuration of another node and another network of the same store. */
  StoreConfig of(String otherNode, String otherNetwork) {
    return new StoreConfig(
        etcd, keys, otherNetwork, otherNode, releaseAfter, gcGrace, directory, filesModified);
  }

  /** Returns whether another configuration reaches the same store in the same way. */
  boolean isSameStore(StoreConfig other) {
    return etcd.equals(other.etcd)
        && keys.equals(other.keys)
        && network.equals(other.network)
        && node.equals(other.node)
        && filesModified.equals(other.filesModified);
  }

  private static List<URI> parseEndpoints(ConfigObject ipam) throws CniException {
    List<URI> endpoints = ipam.parsedList("endpoints", StoreConfig::parseEndpoint);
    if (endpoints.isEmpty()) {
      throw ipam.invalid(
          "endpoints", "must list the client URLs of etcd, such as \"https://10.0.0.1:2379\"");
    }
    return endpoints;
  }

  private static URI parseEndpoint(String text) {
    URI uri;
    try {
      uri = URI.create(text);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(ENDPOINT_RULES, e);
    }
    boolean isHttp = "http".equals(uri.getScheme()) || "https".equals(uri.getScheme());
    String path = Optional.ofNullable(uri.getPath()).orElse("");
    if (!isHttp
        || uri.getHost() == null
        || uri.getPort() < 1
        || uri.getPort() > MAX_PORT
        || uri.getUserInfo() != null
        || uri.getQuery() != null
        || uri.getFragment() != null
        || !(path.isEmpty() || path.equals("/"))) {
      throw new IllegalArgumentException(ENDPOINT_RULES);
    }
    return uri;
  }

  private static TlsOptions parseTls(ConfigObject ipam) throws CniException {
    Optional<ConfigObject> tls = ipam.object("tls");
    if (tls.isEmpty()) {
      return TlsOptions.DEFAULT;
    }
    ConfigObject section = tls.get();
    var options =
        new TlsOptions(
            path(section, "ca"),
            path(section, "cert"),
            path(section, "key"),
            section.parsed("serverName", StoreConfig::parseServerName));
    if (options.cert().isPresent() != options.key().isPresent()) {
      throw section.invalid(
          options.cert().isPresent() ? "key" : "cert", "is missing: cert and key belong together");
    }
    return options;
  }

  private static String parseServerName(String text) {
    if (!HOST_NAME.matcher(text).matches()) {
      try {
        InetAddress _ = InetAddresses.parse(text);
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(
            "is no host name and no IP address: give it without scheme and port, such as"
                + " \"etcd-0.example\"",
            e);
      }
    }
    return text;
  }

  private static Optional<Path> path(ConfigObject section, String key) throws CniException {
    Optional<Path> path = section.parsed(key, Path::of);
    if (path.isPresent() && !path.get().isAbsolute()) {
      throw section.invalid(key, "must be an absolute path");
    }
    return path;
  }

  private static Optional<Credentials> parseCredentials(
      ConfigObject ipam, Optional<Path> passwordFile) throws CniException {
    Optional<String> user = ipam.nonEmpty("user");
    Optional<String> password = password(ipam);
    if (user.isEmpty()) {
      if (password.isPresent() || passwordFile.isPresent()) {
        throw ipam.invalid("user", "is missing: it belongs to the password");
      }
      return Optional.empty();
    }
    if (password.isPresent() == passwordFile.isPresent()) {
      throw ipam.invalid("user", "needs a password: set either password or passwordFile");
    }
    String secret =
        passwordFile.isPresent() ? readPassword(ipam, passwordFile.get()) : password.get();
    return Optional.of(new Credentials(user.get(), secret));
  }

  /** Reads {@code password} without its value in the message of an error. */
  private static Optional<String> password(ConfigObject ipam) throws CniException {
    try {
      return ipam.nonEmpty("password");
    } catch (CniException e) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG, ipam.path("password") + " must be one string");
    }
  }

  private static String readPassword(ConfigObject ipam, Path file) throws CniException {
    String password;
    try {
      password = new String(RegularFiles.read(file), StandardCharsets.UTF_8).strip();
    } catch (IOException e) {
      throw ipam.invalid(
          PASSWORD_FILE,
          "cannot be read (%s): name a file that contains the password"
              .formatted(IoErrors.reason(e)));
    }
    if (password.isEmpty()) {
      throw ipam.invalid(PASSWORD_FILE, "contains no password: write it to the file");
    }
    return password;
  }

  private static String parsePrefix(ConfigObject ipam) throws CniException {
    String prefix = ipam.nonEmpty("prefix").orElse(DEFAULT_PREFIX);
    if (!prefix.startsWith("/") || prefix.endsWith("/")) {
      throw ipam.invalid("prefix", "must begin with a slash and not end with one: use /cni/ipam");
    }
    if (prefix.contains("//") || prefix.codePoints().anyMatch(StoreConfig::isInvisible)) {
      throw ipam.invalid(
          "prefix",
          "must not have an empty part (//), control characters or other invisible ones: use"
              + " /cni/ipam");
    }
    return prefix;
  }

  /** Whether a person cannot see or type a character; a lone surrogate has no UTF-8 either. */
  private static boolean isInvisible(int character) {
    return switch (Character.getType(character)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          true;
      default -> false;
    };
  }

  private static String parseNode(ConfigObject ipam) throws CniException {
    Optional<String> configured = ipam.nonEmpty("node");
    if (configured.isPresent()) {
      if (!Names.isIdentifier(configured.get())) {
        throw ipam.invalid(
            "node",
            "must begin with a letter or digit, have at most 255 characters, and contain letters,"
                + " digits, '.', '_' and '-' only");
      }
      return configured.get();
    }
    String host = "";
    try {
      host = Files.readString(HOST_NAME_FILE).strip();
    } catch (IOException e) {
      throw ipam.invalid("node", "is missing, and the host's name cannot be read: set it");
    }
    if (!Names.isIdentifier(host) || host.equals("localhost")) {
      throw ipam.invalid(
          "node",
          "is missing, and the host's name %s does not identify it: set one that no other node has"
              .formatted(Json.quote(host)));
    }
    return host;
  }

  private static List<Instant> modificationTimes(Stream<Path> files) {
    List<Instant> times = new ArrayList<>();
    files.forEach(
        it -> {
          try {
            times.add(Files.getLastModifiedTime(it).toInstant());
          } catch (IOException e) {
            times.add(Instant.EPOCH); // the reader of the file reports what is wrong
          }
        });
    return times;
  }
}
