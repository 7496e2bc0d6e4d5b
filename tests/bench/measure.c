/* measure OUT [-n COUNT] [-ns FILE] COMMAND...: runs a command (or COUNT of it at once) with its
 * output in the file OUT, in the network namespace FILE, and prints, as one JSON line, the wall
 * seconds until all have ended and, added up, their CPU seconds and peak RSS in KiB, as the kernel
 * counted them.
 *
 * Small and static on purpose: a child's peak RSS starts from its parent's, so a fat parent
 * (Python) would be measured along. Children that the command itself waited for are counted in its
 * CPU. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void become(char** command, int in, int out) {
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  execvp(command[0], command);
  perror(command[0]);
  _exit(127);
}

int main(int argc, char** argv) {
  int count = 1;
  const char* network = NULL;
  char** command = argv + (argc < 2 ? 1 : 2);
  for (; command[0] != NULL && command[1] != NULL; command += 2) {
    if (strcmp(command[0], "-n") == 0)
      count = atoi(command[1]);
    else if (strcmp(command[0], "-ns") == 0)
      network = command[1];
    else
      break;
  }
  if (command[0] == NULL || count < 1) {
    fprintf(stderr, "usage: measure OUT [-n COUNT] [-ns FILE] COMMAND...\n");
    return 2;
  }
  int out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (out < 0 || in < 0) {
    perror(argv[1]);
    return 2;
  }
  if (network != NULL) {
    int fd = open(network, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) {
      perror(network);
      return 2;
    }
  }
  double began = now();
  for (int i = 0; i < count; ++i) {
    pid_t child = fork();
    if (child < 0) {
      perror("fork");
      return 2;
    }
    if (child == 0) become(command, in, out);
  }
  double user = 0, sys = 0;
  long rss = 0, switches = 0;
  int code = 0;
  for (int i = 0; i < count; ++i) {
    int status;
    struct rusage usage;
    if (wait4(-1, &status, 0, &usage) < 0) {
      perror("wait4");
      return 2;
    }
    user += seconds(usage.ru_utime);
    sys += seconds(usage.ru_stime);
    rss += usage.ru_maxrss;
    switches += usage.ru_nvcsw + usage.ru_nivcsw;
    int ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (ended != 0) code = ended;
  }
  printf(
      "{\"wall\": %.6f, \"user\": %.6f, \"sys\": %.6f, \"rss_kib\": %ld, \"switches\": %ld, "
      "\"status\": %d}\n",
      now() - began, user, sys, rss, switches, code);
  return 0;
}
