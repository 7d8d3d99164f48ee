// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel baseline ("floor"): attaches containers to a bridge and detaches them with the fewest
 * netlink messages that the kernel requires. For comparison; see docs/performance.md.
 *
 * build: cc -O2 -o floor floor.c
 * usage: floor CONTAINERS   as root; creates its own namespaces, which end with the process
 *
 * attach: open the container's namespace, open a socket inside it, create a veth whose host end is
 *         up and a port of the bridge, get the index of the container end, set it up, add an
 *         address and a default route
 * detach: delete the host end
 *
 * prints one line: p50 and p99 of attaching, p50 and p99 of detaching, in microseconds
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SUBNET 0x0a4f0000u /* 10.79.0.0/16 */
#define GATEWAY (SUBNET | 1)

static union {
  struct nlmsghdr header;
  char bytes[4096];
} request;

static void fail(const char *what, int error) {
  fprintf(stderr, "floor: %s: %s\n", what, strerror(error));
  exit(1);
}

static void *reserve(size_t length) {
  void *at = request.bytes + NLMSG_ALIGN(request.header.nlmsg_len);
  request.header.nlmsg_len = NLMSG_ALIGN(request.header.nlmsg_len) + length;
  return at;
}

static void begin(int type, int flags, const void *structure, size_t length) {
  memset(&request, 0, sizeof request);
  request.header.nlmsg_len = NLMSG_HDRLEN;
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | flags;
  memcpy(reserve(length), structure, length);
}

static struct rtattr *attribute(int type, const void *value, size_t length) {
  struct rtattr *it = reserve(RTA_LENGTH(length));
  it->rta_type = type;
  it->rta_len = RTA_LENGTH(length);
  if (length > 0) memcpy(RTA_DATA(it), value, length);
  return it;
}

static void end(struct rtattr *nest) {
  request.header.nlmsg_len = NLMSG_ALIGN(request.header.nlmsg_len);
  nest->rta_len = request.bytes + request.header.nlmsg_len - (char *)nest;
}

static int open_socket(void) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("socket", errno);
  return fd;
}

/* Sends the request and returns the kernel's response; fails if that is an error. */
static struct nlmsghdr *exchange(int fd, const char *what) {
  static char response[16384];
  if (send(fd, &request, request.header.nlmsg_len, 0) < 0) fail(what, errno);
  ssize_t length = recv(fd, response, sizeof response, 0);
  if (length < (ssize_t)sizeof(struct nlmsghdr)) fail(what, errno);
  struct nlmsghdr *header = (struct nlmsghdr *)response;
  if (header->nlmsg_type == NLMSG_ERROR) {
    struct nlmsgerr *error = NLMSG_DATA(header);
    if (error->error != 0) fail(what, -error->error);
  }
  return header;
}

static int index_of(int fd, const char *name) {
  struct ifinfomsg link = {0};
  begin(RTM_GETLINK, 0, &link, sizeof link);
  attribute(IFLA_IFNAME, name, strlen(name) + 1);
  return ((struct ifinfomsg *)NLMSG_DATA(exchange(fd, "get link")))->ifi_index;
}

static void set_up(int fd, int index) {
  struct ifinfomsg link = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  begin(RTM_NEWLINK, NLM_F_ACK, &link, sizeof link);
  exchange(fd, "set link up");
}

static void add_address(int fd, int index, uint32_t number) {
  struct ifaddrmsg message = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = index};
  uint32_t address = htonl(number);
  begin(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &message, sizeof message);
  attribute(IFA_LOCAL, &address, sizeof address);
  attribute(IFA_ADDRESS, &address, sizeof address);
  exchange(fd, "add address");
}

static void add_default_route(int fd, int index) {
  struct rtmsg message = {.rtm_family = AF_INET,
                          .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_BOOT,
                          .rtm_type = RTN_UNICAST};
  uint32_t gateway = htonl(GATEWAY);
  begin(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &message, sizeof message);
  attribute(RTA_GATEWAY, &gateway, sizeof gateway);
  attribute(RTA_OIF, &index, sizeof index);
  exchange(fd, "add route");
}

static int make_bridge(int fd) {
  struct ifinfomsg link = {0};
  begin(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  attribute(IFLA_IFNAME, "floor0", sizeof "floor0");
  struct rtattr *info = attribute(IFLA_LINKINFO, NULL, 0);
  attribute(IFLA_INFO_KIND, "bridge", strlen("bridge"));
  end(info);
  exchange(fd, "create bridge");
  int index = index_of(fd, "floor0");
  set_up(fd, index);
  add_address(fd, index, GATEWAY);
  return index;
}

static void make_veth(int fd, int bridge, const char *name, int namespace) {
  struct ifinfomsg link = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, peer = {0};
  begin(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  attribute(IFLA_IFNAME, name, strlen(name) + 1);
  attribute(IFLA_MASTER, &bridge, sizeof bridge);
  struct rtattr *info = attribute(IFLA_LINKINFO, NULL, 0);
  attribute(IFLA_INFO_KIND, "veth", strlen("veth"));
  struct rtattr *data = attribute(IFLA_INFO_DATA, NULL, 0);
  struct rtattr *peer_info = attribute(VETH_INFO_PEER, &peer, sizeof peer);
  attribute(IFLA_IFNAME, "eth0", sizeof "eth0");
  attribute(IFLA_NET_NS_FD, &namespace, sizeof namespace);
  end(peer_info);
  end(data);
  end(info);
  exchange(fd, "create veth");
}

static void attach(int host_socket, int host, int bridge, const char *path, const char *name,
                   uint32_t address) {
  int namespace = open(path, O_RDONLY | O_CLOEXEC);
  if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0) fail(path, errno);
  int inside = open_socket();
  if (setns(host, CLONE_NEWNET) < 0) fail("return to the host", errno);
  make_veth(host_socket, bridge, name, namespace);
  int index = index_of(inside, "eth0");
  set_up(inside, index);
  add_address(inside, index, address);
  add_default_route(inside, index);
  close(inside);
  close(namespace);
}

static void detach(int host_socket, const char *name) {
  struct ifinfomsg link = {0};
  begin(RTM_DELLINK, NLM_F_ACK, &link, sizeof link);
  attribute(IFLA_IFNAME, name, strlen(name) + 1);
  exchange(host_socket, "delete link");
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Moves the calling thread into a new network namespace and returns a descriptor of it. */
static int new_namespace(void) {
  if (unshare(CLONE_NEWNET) < 0) fail("unshare (are you root?)", errno);
  int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("/proc/self/ns/net", errno);
  return fd;
}

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 100;
  if (count < 1 || count > 60000) fail("CONTAINERS must be 1 to 60000", EINVAL);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int *namespaces = calloc(count, sizeof *namespaces);
  double *attached = calloc(count, sizeof *attached), *detached = calloc(count, sizeof *detached);
  for (int i = 0; i < count; i++) namespaces[i] = new_namespace();
  int host = new_namespace(), host_socket = open_socket(), bridge = make_bridge(host_socket);
  char path[64], name[IFNAMSIZ];
  for (int i = 0; i < count; i++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", namespaces[i]);
    snprintf(name, sizeof name, "floor%d", i + 1);
    double start = now();
    attach(host_socket, host, bridge, path, name, SUBNET + 2 + i);
    attached[i] = now() - start;
  }
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "floor%d", i + 1);
    double start = now();
    detach(host_socket, name);
    detached[i] = now() - start;
  }
  qsort(attached, count, sizeof *attached, compare);
  qsort(detached, count, sizeof *detached, compare);
  printf("%.1f %.1f %.1f %.1f\n", attached[count / 2], attached[count * 99 / 100],
         detached[count / 2], detached[count * 99 / 100]);
  return 0;
}
