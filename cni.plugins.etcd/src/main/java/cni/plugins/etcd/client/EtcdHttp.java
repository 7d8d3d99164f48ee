// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.IoErrors;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.ProtocolException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpResponse.BodySubscriber;
import java.net.http.HttpResponse.BodySubscribers;
import java.net.http.HttpResponse.ResponseInfo;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/** Exchanges requests of the JSON gateway with one member, with the token of the user. */
final class EtcdHttp implements AutoCloseable {
  private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(1);

  private static final int OK = 200;

  private static final int UNAVAILABLE = 503;

  private static final String AUTHENTICATE = "/v3/auth/authenticate";

  /** The visible characters of ASCII: what a header may contain. */
  private static final Pattern TOKEN = Pattern.compile("[!-~]+");

  /** In bytes. The largest answer is a page of keys ({@link EtcdClient#list}), about 4 MB. */
  private static final int MAX_BODY = 32 << 20;

  private static final BodyHandler<byte[]> WHOLE_BODY =
      BodyHandlers.limiting(BodyHandlers.ofByteArray(), MAX_BODY);

  private final HttpClient http;
  private final Optional<EtcdOptions.Credentials> credentials;

  /** The token of the last authentication; null before it, and if etcd has no authentication. */
  private volatile @Nullable String token;

  private volatile boolean isAuthenticated;

  private EtcdHttp(HttpClient http, Optional<EtcdOptions.Credentials> credentials) {
    this.http = http;
    this.credentials = credentials;
  }

  static EtcdHttp create(EtcdOptions options) throws CniException {
    HttpClient.Builder builder =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(CONNECT_TIMEOUT);
    if (options.usesTls()) {
      builder.sslContext(TlsContext.create(options.tls()));
    }
    return new EtcdHttp(builder.build(), options.credentials());
  }

  /**
   * One attempt to get an answer from a member. Its deadline is that of all exchanges together: of
   * the request, and of the authentication before it or after a token has expired.
   *
   * @param timeout the time that the attempt had at its start, for messages
   */
  record Attempt(URI endpoint, Duration timeout, Deadline deadline) {
    /** Starts an attempt, whose deadline ends the given time from now. */
    static Attempt start(URI endpoint, Duration timeout) {
      return new Attempt(endpoint, timeout, Deadline.after(timeout));
    }
  }

  /** Sends a request and returns its response. */
  ObjectNode post(Attempt attempt, String path, ObjectNode body)
      throws NoAnswerException, CniException, InterruptedException {
    URI endpoint = attempt.endpoint();
    return authenticated(
        attempt,
        withToken -> {
          var response = send(attempt, path, body, withToken, WHOLE_BODY);
          requireOk(endpoint, path, response.statusCode(), response.body());
          ObjectNode json = parse(endpoint, response.body());
          requireHeader(endpoint, path, json, response.body());
          return json;
        });
  }

  /**
   * Sends a request and returns the stream of its responses, to which the deadline is not applied.
   */
  InputStream open(Attempt attempt, String path, ObjectNode body)
      throws NoAnswerException, CniException, InterruptedException {
    return authenticated(
        attempt,
        withToken -> {
          var response = send(attempt, path, body, withToken, EtcdHttp::stream);
          if (response.statusCode() != OK) {
            requireOk(attempt.endpoint(), path, response.statusCode(), readAll(response.body()));
          }
          return response.body();
        });
  }

  private interface Exchange<T> {
    T run(@Nullable String token)
        throws NoAnswerException, CniException, InterruptedException, ExpiredTokenException;
  }

  /** The member does not accept the token: it has expired, or etcd's users have changed. */
  private static final class ExpiredTokenException extends Exception {
    private static final long serialVersionUID = 1;

    ExpiredTokenException(String message) {
      super(message);
    }
  }

  private <T> T authenticated(Attempt attempt, Exchange<T> exchange)
      throws NoAnswerException, CniException, InterruptedException {
    try {
      if (credentials.isPresent() && !isAuthenticated) {
        authenticate(attempt, credentials.get());
      }
      try {
        return exchange.run(token);
      } catch (ExpiredTokenException e) {
        if (credentials.isEmpty()) {
          throw NoAnswerException.lasting("requires a user: set ipam.user and ipam.password", e);
        }
        return exchange.run(authenticate(attempt, credentials.get()));
      }
    } catch (ExpiredTokenException e) {
      throw NoAnswerException.transientFailure("refuses a new token: " + e.getMessage(), e);
    } catch (NoAnswerException e) {
      if (e.getCause() instanceof TimeoutException) {
        // A token contains the index of etcd's log at which it was made. A member that was restored
        // from a backup waits for that index, without an answer.
        isAuthenticated = false;
      }
      throw e;
    }
  }

  /** Gets a new token; the present one stays in use by other threads until then. */
  private @Nullable String authenticate(Attempt attempt, EtcdOptions.Credentials user)
      throws NoAnswerException, CniException, InterruptedException, ExpiredTokenException {
    ObjectNode body = Json.object().put("name", user.user()).put("password", user.password());
    HttpResponse<byte[]> response = send(attempt, AUTHENTICATE, body, null, WHOLE_BODY);
    boolean isDisabled =
        response.statusCode() != OK
            && EtcdError.parse(response.statusCode(), response.body()).isAuthenticationDisabled();
    String received = null; // as for etcdctl: without authentication the user is not needed
    if (!isDisabled) {
      requireOk(attempt.endpoint(), AUTHENTICATE, response.statusCode(), response.body());
      received = parse(attempt.endpoint(), response.body()).path("token").asString("");
      if (!TOKEN.matcher(received).matches()) {
        throw NoAnswerException.lasting(
            "does not answer as etcd does: its token is " + Json.quote(received), null);
      }
    }
    token = received;
    isAuthenticated = true;
    return received;
  }

  /**
   * Sends a request. The timeout of {@link HttpRequest} would end at the headers of the response,
   * and a server that stops in the body would be waited for without end.
   *
   * <p>The header Accept is how a member recognizes a request of the gateway (AuthInfoFromTLS of
   * auth/store.go). Without it and without a token, the member takes the common name of its own
   * certificate, which the gateway presents, for the name of the user.
   */
  private <T> HttpResponse<T> send(
      Attempt attempt,
      String path,
      ObjectNode body,
      @Nullable String withToken,
      BodyHandler<T> handler)
      throws NoAnswerException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(attempt.endpoint().resolve(path))
            .header("Accept", "application/json")
            .POST(BodyPublishers.ofByteArray(Json.bytes(body)));
    if (withToken != null) {
      request.header("Authorization", withToken);
    }
    // sendAsync completes on the common pool, which the program that embeds this may have blocked.
    var exchange = new FutureTask<>(() -> http.send(request.build(), handler));
    Thread.ofVirtual().name("cni-etcd-request").start(exchange);
    try {
      return exchange.get(attempt.deadline().remaining().toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      throw NoAnswerException.transientFailure(
          "has not answered within " + attempt.timeout().toMillis() + " ms", e);
    } catch (ExecutionException e) {
      throw noAnswer(Objects.requireNonNullElse(e.getCause(), e));
    } finally {
      exchange.cancel(true); // does nothing if it has ended
    }
  }

  private static NoAnswerException noAnswer(Throwable e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof SSLException && !isCutOff(cause)) {
        return NoAnswerException.lasting(
            "refuses TLS, or is refused: " + reason(cause) + "; check ipam.tls", e);
      }
    }
    return NoAnswerException.transientFailure(
        switch (e) {
          case HttpConnectTimeoutException _ ->
              "cannot be connected to within " + CONNECT_TIMEOUT.toMillis() + " ms";
          case ConnectException _ -> "cannot be connected to" + connectReason(e);
          case ProtocolException _ -> "does not answer in HTTP: " + reason(e);
          case SSLException _ ->
              "has closed the connection in the TLS handshake, as an http port does for https";
          default ->
              reason(e).contains("received no bytes")
                  ? "has closed the connection without an answer, as an https port does for http"
                  : "has not completed its answer: " + reason(e);
        },
        e);
  }

  /** Whether the connection ended in the handshake: the member may have been stopped. */
  private static boolean isCutOff(Throwable e) {
    return reason(e).startsWith("Remote host terminated the handshake");
  }

  private static String connectReason(Throwable e) {
    for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
      if (cause instanceof UnresolvedAddressException) {
        return ": the host name cannot be resolved";
      }
      if (cause instanceof ClosedChannelException) {
        // HttpClient retries a refused connection on the closed channel, and loses the reason.
        return ": no process listens there, or a firewall refuses it";
      }
    }
    return ": " + reason(e);
  }

  private static String reason(Throwable e) {
    return e instanceof IOException io
        ? IoErrors.reason(io)
        : Objects.requireNonNullElse(e.getMessage(), e.getClass().getSimpleName());
  }

  private static void requireOk(URI endpoint, String path, int status, byte[] body)
      throws NoAnswerException, CniException, ExpiredTokenException {
    if (status == OK) {
      return;
    }
    refuse(endpoint, path, EtcdError.parse(status, body));
  }

  /** Requires the header of all etcd's responses, which a stream has in its element. */
  private static void requireHeader(URI endpoint, String path, ObjectNode json, byte[] body)
      throws NoAnswerException, CniException, ExpiredTokenException {
    if (json.has("error")) { // of a stream, whose status was sent before
      refuse(endpoint, path, EtcdError.parse(UNAVAILABLE, body));
    }
    if (!json.path("header").isObject() && !json.path("result").path("header").isObject()) {
      throw NoAnswerException.lasting(
          "does not answer as etcd does: its answer to " + path + " has no header", null);
    }
  }

  private static void refuse(URI endpoint, String path, EtcdError error)
      throws NoAnswerException, CniException, ExpiredTokenException {
    switch (error.kind()) {
      case NO_TOKEN -> throw new ExpiredTokenException(error.message());
      case TRANSIENT ->
          throw NoAnswerException.transientFailure("answers: " + error.message(), null);
      case NOT_A_GATEWAY ->
          throw NoAnswerException.lasting(
              "is no client URL of etcd 3.4 or newer: it answers " + error.message(), null);
      case REFUSED_USER ->
          throw new CniException(
              ErrorCode.INVALID_CONFIG, "etcd at " + endpoint + " refuses: " + error.message());
      case COMPACTED, OTHER ->
          throw new CniException(
              ErrorCode.IO_FAILURE,
              "etcd at %s refuses %s: %s".formatted(endpoint, path, error.message()),
              error.kind() == EtcdError.Kind.COMPACTED
                  ? new CompactedException(error.message())
                  : null);
    }
  }

  private static ObjectNode parse(URI endpoint, byte[] body) throws NoAnswerException {
    try {
      return Json.parse(body, "the answer of " + endpoint);
    } catch (CniException e) {
      throw NoAnswerException.lasting("does not answer as etcd does: " + e.getMessage(), e);
    }
  }

  /** Streams the body of a success; the short one of an error is received before that. */
  private static BodySubscriber<InputStream> stream(ResponseInfo response) {
    return response.statusCode() == OK
        ? BodySubscribers.ofInputStream()
        : BodySubscribers.mapping(WHOLE_BODY.apply(response), ByteArrayInputStream::new);
  }

  private static byte[] readAll(InputStream received) {
    try (received) {
      return received.readAllBytes();
    } catch (IOException e) {
      return new byte[0];
    }
  }

  @Override
  public void close() {
    http.shutdownNow();
  }
}
