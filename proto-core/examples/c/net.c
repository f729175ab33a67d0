#define _GNU_SOURCE // ppoll
#include "net.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_SECONDS_MAX = 5, HOST_BYTES_MAX = 256, HTTP_HEAD_BYTES_MAX = 1024 };

uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int net_connect(const char *url) {
  int host_len;
  const char *host = url_host(url, &host_len);
  if (host_len >= HOST_BYTES_MAX)
    return -1;
  char name[HOST_BYTES_MAX];
  snprintf(name, sizeof name, "%.*s", host_len, host);
  char *port = strrchr(name, ':');
  if (port != NULL)
    *port++ = '\0';

  struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found = NULL;
  if (getaddrinfo(name, port != NULL ? port : "80", &wanted, &found) != 0)
    return -1;
  int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
  struct timeval most = {.tv_sec = BLOCK_SECONDS_MAX};
  int on = 1;
  // Linux lets the timeout for sending bound connecting, too.
  if (fd >= 0 &&
      (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most) != 0 ||
       setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most) != 0 ||
       setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
       connect(fd, found->ai_addr, found->ai_addrlen) != 0)) {
    close(fd);
    fd = -1;
  }
  freeaddrinfo(found);
  return fd;
}

bool net_write(int fd, const void *bytes, size_t len) {
  for (const char *rest = bytes; len > 0;) {
    ssize_t sent = send(fd, rest, len, MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    rest += sent;
    len -= (size_t)sent;
  }
  return true;
}

bool net_wait(int fd, uint64_t deadline_ms) {
  // A day is as good as for ever, and fits every time_t.
  const uint64_t longest = 86400000;
  uint64_t now = now_ms();
  uint64_t left = deadline_ms > now ? deadline_ms - now : 0;
  if (left > longest)
    left = longest;
  struct timespec timeout = {.tv_sec = (time_t)(left / 1000),
                             .tv_nsec = (long)(left % 1000) * 1000000};
  struct pollfd input = {.fd = fd, .events = POLLIN};
  // Signals that main() blocks come through here and nowhere else, so that none
  // is missed between a look at the flag and the wait.
  sigset_t none;
  sigemptyset(&none);
  return ppoll(&input, 1, &timeout, &none) > 0;
}

const char *url_host(const char *url, int *len) {
  const char *scheme = strstr(url, "://");
  const char *host = scheme != NULL ? scheme + 3 : url;
  *len = (int)strcspn(host, "/?#");
  return host;
}

const char *url_path(const char *url) {
  int len;
  const char *host = url_host(url, &len);
  return host[len] == '/' ? host + len : "/";
}

long http_post(const char *domain, const char *path, const char *bearer,
               const char *json, char *answer, size_t answer_size,
               unsigned *status) {
  int host_len;
  const char *host = url_host(domain, &host_len);
  char head[HTTP_HEAD_BYTES_MAX];
  // HTTP/1.0: the answer ends with the connection and comes in one piece.
  int head_len = snprintf(head, sizeof head,
                          "POST %s HTTP/1.0\r\nHost: %.*s\r\n%s%s%s"
                          "Content-Type: application/json\r\nlocale: zh\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          path, host_len, host,
                          bearer != NULL ? "Authorization: Bearer " : "",
                          bearer != NULL ? bearer : "",
                          bearer != NULL ? "\r\n" : "", strlen(json));
  if (head_len < 0 || (size_t)head_len >= sizeof head)
    return -1;
  int fd = net_connect(domain);
  if (fd < 0)
    return -1;
  size_t len = 0;
  ssize_t got = -1;
  // The whole answer gets as long as one wait.
  uint64_t deadline = now_ms() + BLOCK_SECONDS_MAX * 1000;
  if (net_write(fd, head, (size_t)head_len) && net_write(fd, json, strlen(json)))
    while (len + 1 < answer_size && net_wait(fd, deadline) &&
           (got = recv(fd, answer + len, answer_size - 1 - len, 0)) > 0)
      len += (size_t)got;
  close(fd);
  answer[len] = '\0';
  char *body = strstr(answer, "\r\n\r\n");
  if (got != 0 || body == NULL || sscanf(answer, "HTTP/1.%*1d %3u", status) != 1)
    return -1;
  body += 4;
  len -= (size_t)(body - answer);
  memmove(answer, body, len + 1);
  return (long)len;
}
