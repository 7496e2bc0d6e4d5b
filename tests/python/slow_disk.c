/* Loaded before libc (LD_PRELOAD): files take as long to make and to write as on a slow disk.
 * SLOW_DISK_FILE_US: for each file that is made; SLOW_DISK_MIB_US: for each MiB that is written to
 * one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void pass(const char* what, double share) {
  const char* microseconds = getenv(what);
  if (microseconds) usleep((useconds_t)(strtod(microseconds, NULL) * share));
}

int openat(int dir, const char* path, int flags, ...) {
  static int (*next)(int, const char*, int, ...);
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list more;
    va_start(more, flags);
    mode = va_arg(more, mode_t);
    va_end(more);
    pass("SLOW_DISK_FILE_US", 1);
  }
  if (!next) next = (int (*)(int, const char*, int, ...))dlsym(RTLD_NEXT, "openat");
  return next(dir, path, flags, mode);
}

ssize_t write(int fd, const void* bytes, size_t count) {
  static ssize_t (*next)(int, const void*, size_t);
  struct stat what;
  if (fstat(fd, &what) == 0 && S_ISREG(what.st_mode))
    pass("SLOW_DISK_MIB_US", (double)count / (1 << 20));
  if (!next) next = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  return next(fd, bytes, count);
}
