// SPDX-License-Identifier: Apache-2.0
/*
 * A container runtime as plugins see it: a long-lived process that executes them, as libcni does.
 * For comparison; see docs/performance.md.
 *
 * build: cc -O2 -pthread -o callers callers.c
 * usage: callers NETWORK          as root
 *        callers --ready SOCKET   waits at a new datagram socket for READY=1, see sd_notify(3)
 *
 * NETWORK is a file with a setting in each line:
 *   path DIRECTORY        CNI_PATH, where the executables are
 *   env NAME=VALUE        a variable for the executables; may be repeated
 *   plugin TYPE JSON      a plugin of the chain, in order, and its configuration. Several words: a
 *                         command with a slash in its name, its arguments and the configuration
 *   command WORD...       instead of plugins: a command for the whole chain, without CNI's variables
 *   container ID NETNS    a container; may be repeated
 * @ID@, @NETNS@, @PORT@ and @VERB@ in words, variables and configurations stand for those of the
 * container and for add or del.
 *
 * Each line of the standard input is a job, "VERB FIRST COUNT THREADS": executes ADD, DEL or VERSION
 * (of the first plugin) for COUNT containers from number FIRST on, at most THREADS at once. ADD
 * executes one plugin after the other and inserts each result as prevResult into the next
 * configuration; DEL goes backwards with the last result. Prints a line for each job: the time from
 * the first start to the last end, then the time of each container's call, in microseconds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PLUGINS 8
#define MAX_WORDS 24
#define MAX_VARIABLES 8
#define MAX_CONTAINERS 1024
#define MAX_ENVIRONMENT 256
#define FIRST_PORT 20000
#define READY_TIMEOUT_SECONDS 10

extern char **environ;

struct plugin {
  char *words[MAX_WORDS + 1];
  char *config; /* NULL for a command */
};

struct container {
  char *id, *netns;
  char *result; /* NULL while it is detached */
};

static struct {
  char *path, *variables[MAX_VARIABLES];
  struct plugin plugins[MAX_PLUGINS];
  struct container containers[MAX_CONTAINERS];
  int variable_count, plugin_count, container_count;
} network;

static struct {
  char verb[16];
  int first, count, threads;
  atomic_int next;
  pthread_barrier_t start;
  double *times;
} job;

static void fail(const char *what, int error) {
  fprintf(stderr, "callers: %s: %s\n", what, strerror(error));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static char *copy(const char *text) {
  char *it = strdup(text);
  if (it == NULL) fail("memory", errno);
  return it;
}

/* Replaces all occurrences of the marker; frees the text. */
static char *replace(char *text, const char *marker, const char *value) {
  char *at;
  while ((at = strstr(text, marker)) != NULL) {
    char *longer;
    int prefix = at - text;
    if (asprintf(&longer, "%.*s%s%s", prefix, text, value, at + strlen(marker)) < 0)
      fail("memory", errno);
    free(text);
    text = longer;
  }
  return text;
}

static char *expand(const char *text, const struct container *container) {
  char port[16];
  snprintf(port, sizeof port, "%d", FIRST_PORT + (int)(container - network.containers));
  char *it = replace(copy(text), "@ID@", container->id);
  it = replace(it, "@NETNS@", container->netns);
  it = replace(it, "@PORT@", port);
  return replace(it, "@VERB@", strcmp(job.verb, "ADD") == 0 ? "add" : "del");
}

static char *variable(const char *name, const char *value) {
  char *it;
  if (asprintf(&it, "%s=%s", name, value) < 0) fail("memory", errno);
  return it;
}

/* Writes this process's environment and the variables of the call; returns how many are its own. */
static int make_environment(char **environment, const struct plugin *plugin,
                            const struct container *container) {
  int own = 0;
  for (int i = 0; i < network.variable_count; i++)
    environment[own++] = expand(network.variables[i], container);
  if (plugin->config != NULL) {
    environment[own++] = variable("CNI_COMMAND", job.verb);
    environment[own++] = variable("CNI_CONTAINERID", container->id);
    environment[own++] = variable("CNI_NETNS", container->netns);
    environment[own++] = variable("CNI_IFNAME", "eth0");
    environment[own++] = variable("CNI_PATH", network.path);
  }
  int count = own;
  for (char **it = environ; *it != NULL && count < MAX_ENVIRONMENT; it++)
    environment[count++] = *it;
  environment[count] = NULL;
  return own;
}

static void make_words(char **words, const struct plugin *plugin,
                       const struct container *container) {
  int count = 0;
  for (; plugin->words[count] != NULL; count++)
    words[count] = expand(plugin->words[count], container);
  words[count] = NULL;
  if (strchr(words[0], '/') == NULL) {
    char *file;
    if (asprintf(&file, "%s/%s", network.path, words[0]) < 0) fail("memory", errno);
    free(words[0]);
    words[0] = file;
  }
}

static pid_t start(char **words, char **environment, int input, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t defaults;
  pid_t pid;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  int error = posix_spawn(&pid, words[0], &actions, &attributes, words, environment);
  if (error != 0) fail(words[0], error);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

/* Writes the input and closes the descriptor. A plugin need not read it: VERSION has none. */
static void write_all(int fd, const char *input) {
  size_t length = strlen(input);
  while (length > 0) {
    ssize_t written = write(fd, input, length);
    if (written < 0 && errno == EPIPE) break;
    if (written < 0) fail("write to a plugin", errno);
    input += written;
    length -= written;
  }
  close(fd);
}

static char *read_all(int fd) {
  size_t size = 4096, length = 0;
  char *output = malloc(size);
  for (;;) {
    if (output == NULL) fail("memory", errno);
    ssize_t got = read(fd, output + length, size - length - 1);
    if (got < 0) fail("read from a plugin", errno);
    length += got;
    output[length] = 0;
    if (got == 0) break;
    if (length == size - 1) output = realloc(output, size *= 2);
  }
  close(fd);
  return output;
}

/* Executes a plugin and returns its output; fails if it does. */
static char *execute(const struct plugin *plugin, const struct container *container,
                     const char *input) {
  char *words[MAX_WORDS + 1], *environment[MAX_ENVIRONMENT + 1];
  int in[2], out[2], status, own = make_environment(environment, plugin, container);
  make_words(words, plugin, container);
  if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) fail("pipe", errno);
  pid_t pid = start(words, environment, in[0], out[1]);
  close(in[0]);
  close(out[1]);
  write_all(in[1], input);
  char *output = read_all(out[0]);
  if (waitpid(pid, &status, 0) < 0) fail("waitpid", errno);
  if (status != 0) {
    fprintf(stderr, "callers: %s of %s by %s ended with wait status %#x: %s\n", job.verb,
            container->id, words[0], status, output);
    exit(1);
  }
  for (int i = 0; i < own; i++) free(environment[i]);
  for (int i = 0; words[i] != NULL; i++) free(words[i]);
  return output;
}

/* Returns the configuration of a request: with the result of the plugin before, if there is one. */
static char *make_input(const struct plugin *plugin, const struct container *container) {
  if (plugin->config == NULL) return copy("");
  if (strcmp(job.verb, "VERSION") == 0) return copy("{ \"cniVersion\": \"1.0.0\" }");
  char *config = expand(plugin->config, container), *input;
  if (container->result == NULL) return config;
  if (asprintf(&input, "{ \"prevResult\": %s, %s", container->result, config + 1) < 0)
    fail("memory", errno);
  free(config);
  return input;
}

static char *call(const struct plugin *plugin, const struct container *container) {
  char *input = make_input(plugin, container), *output = execute(plugin, container, input);
  free(input);
  return output;
}

static void set_result(struct container *container, char *result) {
  free(container->result);
  container->result = result;
}

static void call_chain(struct container *container) {
  if (strcmp(job.verb, "ADD") == 0) {
    for (int i = 0; i < network.plugin_count; i++)
      set_result(container, call(&network.plugins[i], container));
  } else if (strcmp(job.verb, "DEL") == 0) {
    for (int i = network.plugin_count - 1; i >= 0; i--)
      free(call(&network.plugins[i], container));
    set_result(container, NULL);
  } else {
    free(call(&network.plugins[0], container));
  }
}

static void *run_calls(void *unused) {
  pthread_barrier_wait(&job.start);
  int index;
  while ((index = atomic_fetch_add(&job.next, 1)) < job.count) {
    double begin = now();
    call_chain(&network.containers[job.first + index]);
    job.times[index] = now() - begin;
  }
  return unused;
}

static void run_job(void) {
  pthread_t threads[job.threads];
  job.times = calloc(job.count, sizeof *job.times);
  atomic_store(&job.next, 0);
  pthread_barrier_init(&job.start, NULL, job.threads + 1);
  for (int i = 0; i < job.threads; i++) {
    int error = pthread_create(&threads[i], NULL, run_calls, NULL);
    if (error != 0) fail("pthread_create", error);
  }
  double begin = now();
  pthread_barrier_wait(&job.start);
  for (int i = 0; i < job.threads; i++) pthread_join(threads[i], NULL);
  printf("%.1f", now() - begin);
  for (int i = 0; i < job.count; i++) printf(" %.1f", job.times[i]);
  putchar('\n');
  fflush(stdout);
  pthread_barrier_destroy(&job.start);
  free(job.times);
}

static void add_plugin(char *text, int has_config) {
  if (network.plugin_count == MAX_PLUGINS) fail("too many plugins", E2BIG);
  struct plugin *plugin = &network.plugins[network.plugin_count++];
  char *config = has_config ? strchr(text, '{') : NULL;
  if (has_config && config == NULL) fail("a plugin without a configuration", EINVAL);
  if (config != NULL) {
    plugin->config = copy(config);
    *config = 0;
  }
  int count = 0;
  for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
    if (count == MAX_WORDS) fail("too many words", E2BIG);
    plugin->words[count++] = copy(word);
  }
  if (count == 0) fail("a plugin without a type", EINVAL);
}

static void add_container(char *text) {
  char *space = strchr(text, ' ');
  if (network.container_count == MAX_CONTAINERS || space == NULL) fail(text, EINVAL);
  *space = 0;
  network.containers[network.container_count++] =
      (struct container){.id = copy(text), .netns = copy(space + 1)};
}

static void read_network(const char *file) {
  FILE *in = fopen(file, "re");
  if (in == NULL) fail(file, errno);
  char *line = NULL;
  size_t size = 0;
  for (ssize_t length; (length = getline(&line, &size, in)) > 0;) {
    if (line[length - 1] == '\n') line[length - 1] = 0;
    char *value = strchr(line, ' ');
    if (value == NULL) fail(line, EINVAL);
    *value++ = 0;
    if (strcmp(line, "path") == 0) network.path = copy(value);
    else if (strcmp(line, "plugin") == 0) add_plugin(value, 1);
    else if (strcmp(line, "command") == 0) add_plugin(value, 0);
    else if (strcmp(line, "container") == 0) add_container(value);
    else if (strcmp(line, "env") == 0 && network.variable_count < MAX_VARIABLES)
      network.variables[network.variable_count++] = copy(value);
    else fail(line, EINVAL);
  }
  free(line);
  fclose(in);
  if (network.path == NULL || network.plugin_count == 0 || network.container_count == 0)
    fail("a network needs a path, a plugin or command, and a container", EINVAL);
}

/* Prints "listening" when the socket exists and "ready" when the service has reported it. */
static int await_ready(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct timeval timeout = {.tv_sec = READY_TIMEOUT_SECONDS};
  char message[4096];
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0)
    fail(path, errno);
  puts("listening");
  fflush(stdout);
  do {
    ssize_t length = recv(fd, message, sizeof message - 1, 0);
    if (length < 0) fail("no READY=1", errno);
    message[length] = 0;
  } while (strstr(message, "READY=1") == NULL);
  puts("ready");
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--ready") == 0) return await_ready(argv[2]);
  if (argc != 2) fail("usage: callers NETWORK, or callers --ready SOCKET", EINVAL);
  signal(SIGPIPE, SIG_IGN);
  read_network(argv[1]);
  while (scanf("%15s %d %d %d", job.verb, &job.first, &job.count, &job.threads) == 4) {
    if (job.first < 0 || job.count < 1 || job.threads < 1 ||
        job.first + job.count > network.container_count)
      fail("a job outside of the containers", EINVAL);
    run_job();
  }
  return 0;
}
