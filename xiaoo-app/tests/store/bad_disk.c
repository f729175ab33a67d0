/* Stands between a program and libc: calls on a store's files fail with EIO while a
 * file of the call's name lies in $XIAOO_BAD_DISK. For the tests beside it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Whether the descriptor is the database or its log, and the call is to fail. */
static int fails(int fd, const char *call) {
    const char *directory = getenv("XIAOO_BAD_DISK");
    char path[4096], link[64];
    if (directory == NULL) return 0;
    snprintf(path, sizeof path, "%s/%s", directory, call);
    if (access(path, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "xiaoo.db") != NULL && strstr(path, ".lock") == NULL;
}

#define NEXT(type, name, ...) \
    static type (*next)(__VA_ARGS__); \
    if (next == NULL) next = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define FAIL(fd, call) \
    if (fails(fd, call)) { errno = EIO; return -1; }

int fsync(int fd) {
    NEXT(int, "fsync", int);
    FAIL(fd, "sync");
    return next(fd);
}

int fdatasync(int fd) {
    NEXT(int, "fdatasync", int);
    FAIL(fd, "sync");
    return next(fd);
}

/* A write that fails in its middle: the first half is there. */
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    if (fails(fd, "write")) {
        next(fd, bytes, count / 2, offset);
        errno = EIO;
        return -1;
    }
    return next(fd, bytes, count, offset);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t offset) {
    NEXT(ssize_t, "pread64", int, void *, size_t, off64_t);
    FAIL(fd, "read");
    return next(fd, bytes, count, offset);
}
