/* at_once tcp://HOST:PORT SERVER_NAME CA CERT KEY CONTEXT COUNT
 *
 * COUNT builds of one directory at once, in one process with one client: a thread for each, as the
 * calls block. Says of each that failed why; ends with 1 if any did. */
#define _POSIX_C_SOURCE 200809L
#include <depot/depot.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Shared by all threads, and only read. */
struct work {
  const depot_client* client;
  const depot_solve_request* request;
};

/* A client that nobody watches would be less work than buildctl's: steps are counted, as a front
 * end would look at each. */
static int32_t on_status(const depot_status* status, void* user_data) {
  *(size_t*)user_data += depot_status_vertex_count(status);
  return 0;
}

/* Returns NULL, or the work again if the build failed. */
static void* build(void* user_data) {
  const struct work* work = user_data;
  size_t steps = 0;
  depot_solve_options options = DEPOT_SOLVE_OPTIONS_INIT;
  options.on_status = on_status;
  options.user_data = &steps;
  depot_error* error = NULL;
  depot_result* result = NULL;
  depot_code code =
      depot_client_build(work->client, NULL, NULL, work->request, &options, &result, &error);
  if (code != DEPOT_OK)
    fprintf(stderr, "%s\n", depot_error_text(error));
  else if (steps == 0)
    fputs("a build without a step\n", stderr);
  depot_error_free(error);
  depot_result_free(result);
  return code == DEPOT_OK && steps > 0 ? NULL : user_data;
}

static int build_all(struct work* work, int count) {
  pthread_t* threads = calloc((size_t)count, sizeof(*threads));
  int started = 0, failed = 0;
  while (threads != NULL && started < count &&
         pthread_create(&threads[started], NULL, build, work) == 0)
    ++started;
  for (int i = 0; i < started; ++i) {
    void* problem = NULL;
    pthread_join(threads[i], &problem);
    if (problem != NULL) ++failed;
  }
  free(threads);
  if (started < count) fprintf(stderr, "%d builds could not be started\n", count - started);
  return failed + count - started;
}

int main(int argc, char** argv) {
  int count = argc == 8 ? atoi(argv[7]) : 0;
  if (count < 1) {
    fprintf(stderr, "usage: %s ADDRESS SERVER_NAME CA CERT KEY CONTEXT COUNT\n", argv[0]);
    return 2;
  }
  depot_client_options options = DEPOT_CLIENT_OPTIONS_INIT;
  options.builder = argv[1];
  options.tls_server_name = argv[2];
  options.tls_ca_file = argv[3];
  options.tls_cert_file = argv[4];
  options.tls_key_file = argv[5];

  depot_error* error = NULL;
  depot_client* client = NULL;
  depot_solve_request* request = depot_solve_request_new();
  depot_code code = depot_solve_request_set_context(request, argv[6], NULL, &error);
  if (code == DEPOT_OK) code = depot_client_new(&options, &client, &error);
  int failed = count;
  if (code == DEPOT_OK)
    failed = build_all(&(struct work){client, request}, count);
  else
    fprintf(stderr, "%s\n", depot_error_text(error));
  printf("%d builds, %d failed\n", count, failed);

  depot_error_free(error);
  depot_client_free(client);
  depot_solve_request_free(request);
  return failed == 0 ? 0 : 1;
}
