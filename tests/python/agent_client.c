/* agent_client HEX...: sends each request to the agent at $SSH_AUTH_SOCK and prints its answer in
 * hex, one line each. HEX is a message of the agent protocol without its length. "raw TEXT": sends
 * the text as it is, says that this was all, and prints what comes back until the end. Static, for
 * steps of a build. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void need(int ok, const char* what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static void read_all(int fd, unsigned char* to, size_t size) {
  while (size > 0) {
    ssize_t got = read(fd, to, size);
    need(got > 0, "read");
    to += got;
    size -= (size_t)got;
  }
}

static int dial(void) {
  struct sockaddr_un address = {0};
  const char* path = getenv("SSH_AUTH_SOCK");
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  need(path != NULL && strlen(path) < sizeof address.sun_path, "SSH_AUTH_SOCK");
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, path);
  need(connect(fd, (struct sockaddr*)&address, sizeof address) == 0, "connect");
  return fd;
}

static void raw(const char* text) {
  char buffer[4096];
  ssize_t got;
  int fd = dial();
  need(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "write");
  need(shutdown(fd, SHUT_WR) == 0, "shutdown");
  while ((got = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, (size_t)got, stdout);
}

int main(int argc, char** argv) {
  static unsigned char message[1 << 20];
  if (argc == 3 && strcmp(argv[1], "raw") == 0) {
    raw(argv[2]);
    return 0;
  }
  int fd = dial();
  for (int i = 1; i < argc; ++i) {
    size_t size = strlen(argv[i]) / 2;
    need(size + 4 <= sizeof message, "size");
    for (size_t at = 0; at < 4; ++at) message[at] = (unsigned char)(size >> (24 - 8 * at));
    for (size_t at = 0; at < size; ++at) {
      unsigned int byte = 0;
      need(sscanf(argv[i] + 2 * at, "%2x", &byte) == 1, "hex");
      message[4 + at] = (unsigned char)byte;
    }
    need(write(fd, message, 4 + size) == (ssize_t)(4 + size), "write");
    read_all(fd, message, 4);
    size =
        (size_t)message[0] << 24 | (size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3];
    need(size <= sizeof message, "answer");
    read_all(fd, message, size);
    for (size_t at = 0; at < size; ++at) printf("%02x", message[at]);
    printf("\n");
  }
  return 0;
}
