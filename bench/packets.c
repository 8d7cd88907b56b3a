/*
 * Sends batches of packets when told to, and says what each batch cost. A veth hands a packet on in the sender's own
 * context, so the time of a batch is the time of the whole path: sender, router, receiver.
 *
 *     packets sink ADDRESS PORT                   answers the first packet over UDP and reads no other
 *     packets echo PORT                           answers each byte over TCP; reads what it can
 *     packets udp SOURCE ADDRESS PORT             one flow, which a sink has answered if it could
 *     packets oneway SOURCE ADDRESS PORT          one flow that nobody answers
 *     packets flows SOURCE ADDRESS PORT           each packet from the next source port: a flow each
 *     packets ask SOURCE ADDRESS PORT             one byte over TCP and back
 *     packets bulk SOURCE ADDRESS PORT             64 KiB writes over TCP
 *
 * Senders read a count a line, send as many, and print nanoseconds of wall clock and of CPU a line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, PAYLOAD = 18, FIRST_PORT = 1024, LAST_PORT = 61000 };

static long long now(clockid_t clock) {
  struct timespec at;
  clock_gettime(clock, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static struct sockaddr_in address_of(const char *text, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, text, &address.sin_addr) != 1) errx(2, "not an address: %s", text);
  return address;
}

static int bound(int type, const char *source, int port) {
  int one = 1, fd = socket(AF_INET, type, 0);
  struct sockaddr_in address = address_of(source, port);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  /* A source that isn't the machine's own: the spoofer's. */
  setsockopt(fd, SOL_IP, IP_FREEBIND, &one, sizeof one);
  setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof one);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) err(1, "bind %s:%d", source, port);
  return fd;
}

static void send_packets(int fd, long count) {
  static char payload[PAYLOAD];
  struct iovec part = {payload, sizeof payload};
  struct mmsghdr messages[BATCH];
  memset(messages, 0, sizeof messages);
  for (int index = 0; index < BATCH; index++) messages[index].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
  while (count > 0) {
    int sent = sendmmsg(fd, messages, count < BATCH ? (int)count : BATCH, 0);
    /* What the router says of a refused packet comes back as an error of the next send. */
    if (sent < 0) continue;
    count -= sent;
  }
}

static void send_flows(const char *source, struct sockaddr_in to, long count) {
  static char payload[PAYLOAD];
  static int port = FIRST_PORT;
  for (; count > 0; count--) {
    int fd = bound(SOCK_DGRAM, source, port);
    sendto(fd, payload, sizeof payload, 0, (struct sockaddr *)&to, sizeof to);
    close(fd);
    port = port == LAST_PORT ? FIRST_PORT : port + 1;
  }
}

static void ask(int fd, long count) {
  char byte = 0;
  for (; count > 0; count--)
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) err(1, "ask");
}

static void send_bulk(int fd, long count) {
  static char part[65536];
  for (; count > 0; count--)
    for (size_t done = 0; done < sizeof part;) {
      ssize_t wrote = write(fd, part + done, sizeof part - done);
      if (wrote < 0) err(1, "bulk");
      done += (size_t)wrote;
    }
}

static int connected(int type, const char *source, struct sockaddr_in to) {
  int one = 1, fd = bound(type, source, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) err(1, "connect");
  if (type == SOCK_STREAM) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

/* A flow counts as established once it was answered. */
static void knock(int fd) {
  char byte = 0;
  struct timeval wait = {.tv_usec = 300000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  if (write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1) fputs("answered\n", stderr);
}

static void sink(const char *address, int port) {
  char byte;
  int small = 1, fd = bound(SOCK_DGRAM, address, port);
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  puts("ready"), fflush(stdout);
  if (recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &size) == 1) sendto(fd, &byte, 1, 0, (struct sockaddr *)&from, size);
  pause();
}

static void echo(int port) {
  static char part[1 << 20];
  int listener = bound(SOCK_STREAM, "0.0.0.0", port);
  listen(listener, 8);
  puts("ready"), fflush(stdout);
  struct pollfd waiting[16] = {{.fd = listener, .events = POLLIN}};
  nfds_t count = 1;
  while (poll(waiting, count, -1) > 0) {
    for (nfds_t index = 1; index < count; index++) {
      if (waiting[index].revents == 0) continue;
      ssize_t got = read(waiting[index].fd, part, sizeof part);
      if (got == 1 && write(waiting[index].fd, part, 1) != 1) got = 0;
      if (got <= 0) close(waiting[index].fd), waiting[index] = waiting[--count];
    }
    if (waiting[0].revents != 0 && count < 16)
      waiting[count++] = (struct pollfd){.fd = accept(listener, NULL, NULL), .events = POLLIN};
  }
}

int main(int count, char **words) {
  if (count < 3) errx(2, "usage: see the head of packets.c");
  const char *mode = words[1];
  if (!strcmp(mode, "sink") && count == 4) return sink(words[2], atoi(words[3])), 0;
  if (!strcmp(mode, "echo")) return echo(atoi(words[2])), 0;
  if (count != 5) errx(2, "usage: see the head of packets.c");
  const char *source = words[2];
  struct sockaddr_in to = address_of(words[3], atoi(words[4]));
  int flows = !strcmp(mode, "flows"), stream = !strcmp(mode, "ask") || !strcmp(mode, "bulk");
  int fd = flows ? -1 : connected(stream ? SOCK_STREAM : SOCK_DGRAM, source, to);
  char line[32];
  if (!strcmp(mode, "udp")) knock(fd);
  puts("ready"), fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    long packets = atol(line);
    long long wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    if (flows) send_flows(source, to, packets);
    else if (!strcmp(mode, "ask")) ask(fd, packets);
    else if (!strcmp(mode, "bulk")) send_bulk(fd, packets);
    else send_packets(fd, packets);
    printf("%lld %lld\n", now(CLOCK_MONOTONIC) - wall, now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    fflush(stdout);
  }
}
