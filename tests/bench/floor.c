/* floor DIRECTORY FILES BYTES
 *
 * Writes so many files of so many bytes, five hundred to a folder, by the system calls that a
 * client cannot do without who exports them: what the kernel takes for it is in every client's
 * time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PER_FOLDER = 500, PIECE = 32 << 10 }; /* as cases.py lays them, and as BuildKit sends them */

static int failed(const char* what) {
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  return 1;
}

int main(int argc, char** argv) {
  static char piece[PIECE];
  if (argc != 4) {
    fprintf(stderr, "usage: %s DIRECTORY FILES BYTES\n", argv[0]);
    return 2;
  }
  const long files = atol(argv[2]), bytes = atol(argv[3]);
  const struct timespec times[2] = {{1700000000, 0}, {1700000000, 0}};
  memset(piece, 7, sizeof piece);
  if (mkdir(argv[1], 0755) != 0) return failed(argv[1]);
  int folder = -1;
  for (long at = 0; at < files; ++at) {
    char name[4096];
    if (at % PER_FOLDER == 0) {
      if (folder >= 0) close(folder);
      snprintf(name, sizeof name, "%s/folder-%04ld", argv[1], at / PER_FOLDER);
      if (mkdir(name, 0755) != 0) return failed(name);
      folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    snprintf(name, sizeof name, "file-%04ld.txt", at % PER_FOLDER);
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0) return failed(name);
    for (long left = bytes; left > 0;) {
      ssize_t wrote = write(file, piece, left < PIECE ? (size_t)left : PIECE);
      if (wrote < 0) return failed(name);
      left -= wrote;
    }
    if (futimens(file, times) != 0 || close(file) != 0) return failed(name);
  }
  return 0;
}
