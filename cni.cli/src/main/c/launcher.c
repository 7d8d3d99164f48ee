// SPDX-License-Identifier: Apache-2.0
// The image's launcher: bin/cni and, by links with plugins' names (see "cni install"), the plugins.
// Passes the request to the resident host, "cni serve", which answers without starting a JVM. If
// there is no host, or if it does not accept the request, executes bin/cni-jvm, which starts one.
// docs/resident-host.md describes the protocol.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U // since Linux 6.3
#endif

#define DEFAULT_SOCKET "/run/cni/cni.sock"
#define LOST "cni: standard output cannot be written; the answer is lost\n"

enum { INPUT_LIMIT = 20 << 20, MAX_FRAME = 64 << 20, READ_SIZE = 64 << 10, TIMEOUT_MILLIS = 2000 };
enum { ERROR_IO = 5, ERROR_TRY_AGAIN_LATER = 11, ERROR_INTERNAL = 999 };

// Precedes a request, in the byte order of the machine.
struct header {
  char magic[4]; // "CNI" and the version of the protocol
  uint32_t body_length;
  uint64_t modules_dev, modules_ino, modules_size, modules_mtime_nanos; // the image's lib/modules
  uint64_t mount_ns_dev, mount_ns_ino, user_ns_dev, user_ns_ino;
  uint32_t argument_count, variable_count, input_length, flags;
};
_Static_assert(sizeof(struct header) == 88, "the header has no padding");
enum { FLAG_CONTAINER = 1 }; // a descriptor of CNI_NETNS is attached

// Precedes each part of the reply.
struct frame {
  uint32_t type, length;
};
enum { FRAME_ACCEPTED = 1, FRAME_REFUSED, FRAME_OUT, FRAME_ERR, FRAME_EXIT };

// Bytes that a NUL follows.
struct buffer {
  char *data;
  size_t length, capacity;
};

static const char *name;     // "cni" or a plugin's type
static char image[PATH_MAX]; // the directory of the image
static struct buffer input;  // what has been read of standard input

static bool is_plugin(void) { return strcmp(name, "cni") != 0; }

static bool is_one_of(const char *word, const char *const words[]) {
  while (*words && strcmp(word, *words) != 0) words++;
  return *words;
}

static const char *variable(const char *key) {
  const char *value = getenv(key);
  return value ? value : "";
}

static bool reserve(struct buffer *buffer, size_t more) {
  size_t needed = buffer->length + more + 1;
  if (needed > buffer->capacity) {
    size_t capacity = needed > 2 * buffer->capacity ? needed : 2 * buffer->capacity;
    char *data = realloc(buffer->data, capacity);
    if (!data) return false;
    buffer->data = data;
    buffer->capacity = capacity;
  }
  buffer->data[buffer->length] = '\0';
  return true;
}

static bool append(struct buffer *buffer, const void *bytes, size_t length) {
  if (!reserve(buffer, length)) return false;
  if (length > 0) memcpy(buffer->data + buffer->length, bytes, length);
  buffer->length += length;
  return true;
}

static bool append_string(struct buffer *buffer, const char *string) {
  return append(buffer, string, strlen(string) + 1);
}

// Returns whether a system call is to be repeated: after a signal, and, once the descriptor is
// ready, if the caller has made it non-blocking.
static bool is_repeatable(int fd, short event) {
  if (errno == EAGAIN) return poll(&(struct pollfd){.fd = fd, .events = event}, 1, -1) > 0;
  return errno == EINTR;
}

static bool write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t count = write(fd, bytes, length);
    if (count >= 0) {
      bytes += count;
      length -= (size_t)count;
    } else if (!is_repeatable(fd, POLLOUT)) {
      return false;
    }
  }
  return true;
}

static const char *path_in_image(const char *file) {
  static char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/%s", image, file);
  return path;
}

// Reads standard input to its end. Returns false if it cannot be read or is longer than the limit:
// the image refuses what it gets of that (ServedConfig.MAX_INPUT_BYTES is less). The host accepts
// less, and counts what it refuses.
static bool read_input(void) {
  while (input.length <= INPUT_LIMIT && reserve(&input, READ_SIZE)) {
    ssize_t count = read(STDIN_FILENO, input.data + input.length, READ_SIZE);
    if (count < 0 && is_repeatable(STDIN_FILENO, POLLIN)) continue;
    if (count < 0) return false;
    input.length += (size_t)count;
    input.data[input.length] = '\0';
    if (count == 0) return true;
  }
  return false;
}

// Returns whether this is a request with standard input. The caller need not close that of VERSION.
static bool has_input(void) {
  const char *verb = variable("CNI_COMMAND");
  return is_plugin() && *verb && strcmp(verb, "VERSION") != 0;
}

// Finds the request's "cniVersion" as bin/cni-jvm does, without a JSON parser.
static const char *request_version(int *length) {
  static const char key[] = "\"cniVersion\"";
  const char *value = input.length > 0 ? strstr(input.data, key) : NULL;
  value = value ? strchr(value + strlen(key), '"') : NULL;
  *length = value ? (int)strspn(value + 1, "0123456789.") : 0;
  if (*length > 0 && value[1 + *length] == '"') return value + 1;
  *length = (int)strlen("1.1.0");
  return "1.1.0";
}

// Prints an error as ErrorReporter does. The message contains nothing that JSON escapes.
static _Noreturn void fail(int code, const char *message) {
  fprintf(stderr, "cni: %s (code %d)\n", message, code);
  if (is_plugin() || !isatty(STDOUT_FILENO)) {
    int length;
    const char *version = request_version(&length);
    static const char json[] =
        "{\n    \"cniVersion\": \"%.*s\",\n    \"code\": %d,\n    \"msg\": \"%s\"\n}\n";
    if (dprintf(STDOUT_FILENO, json, length, version, code, message) < 0) fputs(LOST, stderr);
  }
  exit(EXIT_FAILURE);
}

// Opens the standard streams that the caller has closed, so that no other file gets their numbers.
// Writing to standard output fails then, as on the closed stream.
static bool open_standard_streams(void) {
  static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY};
  for (int fd = 0; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd) return false;
  }
  return true;
}

// Connects to a host that root or this user runs; returns -1 if there is none.
static int connect_to_host(void) {
  const char *path = getenv("CNI_HOST_SOCKET");
  if (!path) path = DEFAULT_SOCKET;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!*path || strcmp(path, "none") == 0 || strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  int host = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (host < 0) return -1;
  // Bounds connect and each send.
  struct timeval timeout = {.tv_sec = TIMEOUT_MILLIS / 1000};
  struct ucred server;
  socklen_t size = sizeof server;
  if (setsockopt(host, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0 &&
      connect(host, (struct sockaddr *)&address, sizeof address) == 0 &&
      getsockopt(host, SOL_SOCKET, SO_PEERCRED, &server, &size) == 0 &&
      (server.uid == 0 || server.uid == geteuid())) {
    return host;
  }
  close(host);
  return -1;
}

// Opens the caller's network namespace and, if it can be opened, the container's. Returns how many
// are open; none is a failure.
static int open_namespaces(int fds[2]) {
  static const char *const verbs[] = {"ADD", "CHECK", "DEL", NULL};
  fds[0] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (fds[0] < 0) return 0;
  if (!is_plugin() || !is_one_of(variable("CNI_COMMAND"), verbs)) return 1;
  fds[1] = open(variable("CNI_NETNS"), O_PATH | O_CLOEXEC);
  return fds[1] < 0 ? 1 : 2;
}

// Composes the request. Returns false if there is no memory, or if this process cannot be described:
// in a directory that has been deleted, or without /proc.
static bool compose_request(struct buffer *request, int argc, char **argv, bool has_container) {
  struct stat modules, mount_ns, user_ns;
  char directory[PATH_MAX];
  if (stat(path_in_image("lib/modules"), &modules) != 0 ||
      stat("/proc/self/ns/mnt", &mount_ns) != 0 || stat("/proc/self/ns/user", &user_ns) != 0 ||
      !getcwd(directory, sizeof directory)) {
    return false;
  }
  struct timespec mtime = modules.st_mtim;
  struct header header = {
      .magic = {'C', 'N', 'I', 1},
      .modules_dev = modules.st_dev,
      .modules_ino = modules.st_ino,
      .modules_size = (uint64_t)modules.st_size,
      .modules_mtime_nanos = (uint64_t)mtime.tv_sec * 1000000000 + (uint64_t)mtime.tv_nsec,
      .mount_ns_dev = mount_ns.st_dev,
      .mount_ns_ino = mount_ns.st_ino,
      .user_ns_dev = user_ns.st_dev,
      .user_ns_ino = user_ns.st_ino,
      .argument_count = 1,
      .input_length = (uint32_t)input.length,
      .flags = has_container ? FLAG_CONTAINER : 0};
  bool complete = append(request, &header, sizeof header) && append_string(request, directory) &&
                  append_string(request, name);
  for (int i = 1; i < argc; i++, header.argument_count++) {
    complete = complete && append_string(request, argv[i]);
  }
  for (char **entry = environ; *entry; entry++) {
    if (!strchr(*entry, '=')) continue;
    complete = complete && append_string(request, *entry);
    header.variable_count++;
  }
  complete = complete && append(request, input.data, input.length);
  if (!complete) return false;
  header.body_length = (uint32_t)(request->length - sizeof header);
  memcpy(request->data, &header, sizeof header);
  return true;
}

// Sends the request, with the descriptors attached to its first byte.
static bool send_request(int host, const struct buffer *request, const int *fds, int fd_count) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(2 * sizeof(int))];
  } control = {.space = {0}};
  size_t fds_size = (size_t)fd_count * sizeof(int);
  for (size_t sent = 0; sent < request->length;) {
    struct iovec part = {request->data + sent, request->length - sent};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (sent == 0) {
      message.msg_control = control.space;
      message.msg_controllen = CMSG_SPACE(fds_size);
      control.header.cmsg_level = SOL_SOCKET;
      control.header.cmsg_type = SCM_RIGHTS;
      control.header.cmsg_len = CMSG_LEN(fds_size);
      memcpy(CMSG_DATA(&control.header), fds, fds_size);
    }
    ssize_t count = sendmsg(host, &message, MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) return false; // EAGAIN: the timeout of the socket
    if (count > 0) sent += (size_t)count;
  }
  return true;
}

static int64_t now_millis(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Waits for the first frame and returns whether it accepts the request. After the timeout the
// connection is closed for the host's frames: it either has sent the acceptance, which is received
// then, or sending it fails with EPIPE. One side alone serves the request.
static bool is_accepted(int host) {
  struct frame first;
  int64_t end = now_millis() + TIMEOUT_MILLIS;
  for (size_t received = 0; received < sizeof first;) {
    int64_t left = end - now_millis();
    struct pollfd events = {.fd = host, .events = POLLIN};
    int ready = poll(&events, 1, left > 0 ? (int)left : 0);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) shutdown(host, SHUT_RD); // recv does not block any more
    ssize_t count = recv(host, (char *)&first + received, sizeof first - received, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    received += (size_t)count;
  }
  return first.type == FRAME_ACCEPTED && first.length == 0;
}

static bool receive(int host, void *bytes, size_t length) {
  for (size_t received = 0; received < length;) {
    ssize_t count = recv(host, (char *)bytes + received, length - received, 0);
    if (count == 0 || (count < 0 && errno != EINTR)) return false;
    if (count > 0) received += (size_t)count;
  }
  return true;
}

// Ends with the output and the status that the host sends. Output is written when it is complete:
// if the host dies before, standard output holds the error and nothing else.
static _Noreturn void pass_reply(int host) {
  struct buffer output = {0}, other = {0};
  struct frame frame;
  uint32_t status;
  signal(SIGPIPE, SIG_IGN); // writing to standard output fails instead, as in the JVM
  while (receive(host, &frame, sizeof frame) && frame.length <= MAX_FRAME) {
    struct buffer *target = frame.type == FRAME_OUT ? &output : &other;
    if (!reserve(target, frame.length) ||
        !receive(host, target->data + target->length, frame.length)) {
      break;
    }
    if (frame.type == FRAME_OUT) {
      output.length += frame.length;
    } else if (frame.type == FRAME_ERR) {
      write_all(STDERR_FILENO, other.data, frame.length);
    } else if (frame.type == FRAME_EXIT && frame.length == sizeof status) {
      memcpy(&status, other.data, sizeof status);
      if (status > 255) break;
      // The command prints its error as JSON, too, unless standard output is a terminal.
      if (status != 0 && !is_plugin() && isatty(STDOUT_FILENO)) output.length = 0;
      if (!write_all(STDOUT_FILENO, output.data, output.length)) {
        fputs(LOST, stderr);
        status = status == 0 ? EXIT_FAILURE : status;
      }
      exit((int)status);
    } else {
      break;
    }
  }
  fail(ERROR_TRY_AGAIN_LATER,
       "the resident host ended during this request; DEL or GC removes what it has left");
}

// Lets the host serve the request. Returns if no host has accepted it.
static void ask_host(int argc, char **argv) {
  int host = open_standard_streams() ? connect_to_host() : -1;
  if (host < 0 || (has_input() && !read_input())) return;
  int fds[2];
  int fd_count = open_namespaces(fds);
  struct buffer request = {0};
  if (fd_count > 0 && compose_request(&request, argc, argv, fd_count == 2) &&
      send_request(host, &request, fds, fd_count) && is_accepted(host)) {
    pass_reply(host);
  }
}

// Makes standard input begin with what has been read of it.
static void replay_input(void) {
  int fd = memfd_create("cni-request", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) fd = memfd_create("cni-request", MFD_CLOEXEC);
  if (fd < 0 || !write_all(fd, input.data, input.length) || lseek(fd, 0, SEEK_SET) != 0 ||
      dup2(fd, STDIN_FILENO) < 0) {
    fail(ERROR_IO, "the launcher has no memory file for standard input; see the limits of memory");
  }
}

// Executes bin/cni-jvm, which takes the name as its first argument.
static _Noreturn void execute_image(int argc, char **argv) {
  size_t more = argc > 1 ? (size_t)argc - 1 : 0;
  const char **command = calloc(more + 3, sizeof *command);
  if (command) {
    if (input.length > 0) replay_input();
    command[0] = "cni-jvm";
    command[1] = name;
    for (size_t i = 0; i < more; i++) command[2 + i] = argv[1 + i];
    execv(path_in_image("bin/cni-jvm"), (char *const *)command);
  }
  char message[256];
  snprintf(message, sizeof message, "the launcher cannot execute bin/cni-jvm of its image: %s",
           strerror(errno));
  if (has_input() && input.length == 0) read_input();
  fail(ERROR_INTERNAL, message);
}

static bool is_for_host(int argc, char **argv) {
  static const char *const verbs[] = {"add", "check", "del", "update", "repair", "gc", "status", NULL};
  if (is_plugin()) return argc <= 1 && *variable("CNI_COMMAND");
  return argc >= 2 && is_one_of(argv[1], verbs);
}

// Finds the image that this file is in: the parent of its directory.
static bool find_image(const char *executed) {
  ssize_t length = readlink("/proc/self/exe", image, sizeof image - 1);
  if (length < 0 && !realpath(executed, image)) return false; // /proc is not mounted
  for (int i = 0; i < 2; i++) {
    char *slash = strrchr(image, '/');
    if (slash) *slash = '\0';
  }
  return true;
}

int main(int argc, char **argv) {
  // The path given to execve: the caller chooses argv[0] freely.
  const char *executed = (const char *)getauxval(AT_EXECFN);
  const char *slash = strrchr(executed, '/');
  name = slash ? slash + 1 : executed;
  if (!find_image(executed)) fail(ERROR_INTERNAL, "the launcher does not find its image");
  if (is_for_host(argc, argv)) ask_host(argc, argv);
  execute_image(argc, argv);
}
