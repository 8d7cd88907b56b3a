/*
 * Commits nft's text as a daemon could that has libnftables in its process, or that talks netlink itself.
 *
 *     library FILE    the file's text, by libnftables
 *     netlink FILE    the bytes that libnftables sent for that file, once more, without it
 *
 * Reads such a line, prints the nanoseconds that it took, or ends with what went wrong. FILE has been read before the clock starts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <err.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 4, REPLY = 8192 };

static struct batch {
  char name[256];
  char *text;
  char *sent;
  size_t length;
} batches[FILES];
/* What is being committed by the library. */
static struct batch *current;

static void append(struct batch *batch, const void *data, size_t length) {
  batch->sent = realloc(batch->sent, batch->length + length);
  if (batch->sent == NULL) err(1, "realloc");
  memcpy(batch->sent + batch->length, data, length);
  batch->length += length;
}

/* Stands in front of the C library's, so that what libnftables sends can be seen. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  ssize_t (*next)(int, const struct msghdr *, int) = dlsym(RTLD_NEXT, "sendmsg");
  const struct nlmsghdr *first = message->msg_iov[0].iov_base;
  if (current != NULL && current->length == 0 && first->nlmsg_type == NFNL_MSG_BATCH_BEGIN) {
    /* Without the attribute that ties it to the generation of that moment. */
    struct nlmsghdr begin = *first;
    begin.nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg));
    append(current, &begin, sizeof begin);
    append(current, NLMSG_DATA(first), sizeof(struct nfgenmsg));
    for (size_t index = 0; index < message->msg_iovlen; index += 1) {
      const struct iovec *part = &message->msg_iov[index];
      size_t skip = index == 0 ? NLMSG_ALIGN(first->nlmsg_len) : 0;
      append(current, (char *)part->iov_base + skip, part->iov_len - skip);
    }
  }
  return next(fd, message, flags);
}

static struct batch *batch_of(const char *name) {
  struct batch *batch = batches;
  while (batch < batches + FILES && batch->name[0] != 0 && strcmp(batch->name, name) != 0) batch += 1;
  if (batch == batches + FILES) errx(1, "too many files");
  if (batch->text != NULL) return batch;
  snprintf(batch->name, sizeof batch->name, "%s", name);
  FILE *file = fopen(name, "r");
  size_t size = 0;
  if (file == NULL || getdelim(&batch->text, &size, 0, file) < 0) err(1, "%s", name);
  fclose(file);
  return batch;
}

static void by_library(struct nft_ctx *nft, struct batch *batch) {
  current = batch;
  if (nft_run_cmd_from_buffer(nft, batch->text) != 0) errx(1, "%s", nft_ctx_get_error_buffer(nft));
  current = NULL;
}

/* The kernel commits while it is handed the bytes; what it refuses lies there at once. */
static void by_netlink(int fd, struct batch *batch) {
  if (batch->length == 0) errx(1, "%s: nothing was sent for it yet", batch->name);
  if (send(fd, batch->sent, batch->length, 0) < 0) err(1, "send");
  char reply[REPLY];
  ssize_t length;
  while ((length = recv(fd, reply, sizeof reply, MSG_DONTWAIT)) > 0)
    for (struct nlmsghdr *each = (void *)reply; NLMSG_OK(each, length); each = NLMSG_NEXT(each, length)) {
      const struct nlmsgerr *error = NLMSG_DATA(each);
      if (each->nlmsg_type == NLMSG_ERROR && error->error != 0) errx(1, "refused: %s", strerror(-error->error));
    }
  if (errno != EAGAIN) err(1, "recv");
}

static long long now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

int main(void) {
  struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
  nft_ctx_buffer_error(nft);
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) err(1, "socket");
  char how[16], name[256];
  while (scanf("%15s %255s", how, name) == 2) {
    struct batch *batch = batch_of(name);
    long long begin = now();
    if (strcmp(how, "library") == 0) by_library(nft, batch);
    else by_netlink(fd, batch);
    printf("%lld\n", now() - begin);
    fflush(stdout);
  }
  return 0;
}
