// Plain sockets, and as much HTTP as two kinds of calls need.
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Milliseconds on the monotonic clock.
uint64_t now_ms(void);

// A connection to the host and port in "scheme://host:port/…", or -1. Nothing
// on it, connecting included, blocks for longer than five seconds.
int net_connect(const char *url);

bool net_write(int fd, const void *bytes, size_t len);

// Waits for input until the deadline, or until a signal; with fd -1 it only
// waits. Says whether there is input.
bool net_wait(int fd, uint64_t deadline_ms);

// The path of "scheme://host:port/path?query", "/" if there is none.
const char *url_path(const char *url);

// "host:port" of a URL, for the Host header.
const char *url_host(const char *url, int *len);

// POSTs JSON. The answer's body, ended by a zero, is in `answer` and its length
// comes back; -1 if there was no whole answer.
long http_post(const char *domain, const char *path, const char *bearer,
               const char *json, char *answer, size_t answer_size,
               unsigned *status);

#endif
