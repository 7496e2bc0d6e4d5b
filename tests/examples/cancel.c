/* cancel CONTEXT: cancels a build as soon as one of its RUN steps is running, from another thread.
 */
#define _POSIX_C_SOURCE 200809L
#include <depot/depot.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

struct watch {
  depot_cancel* cancel;
  sem_t running; /* a RUN step is at work, or there is nothing to wait for any more */
};

static void* cancel_when_running(void* user_data) {
  struct watch* watch = user_data;
  sem_wait(&watch->running);
  depot_cancel_trigger(watch->cancel);
  return NULL;
}

static int32_t on_status(const depot_status* status, void* user_data) {
  struct watch* watch = user_data;
  for (size_t i = 0; i < depot_status_vertex_count(status); ++i) {
    depot_vertex vertex = {.size = sizeof(vertex)};
    if (!depot_status_vertex(status, i, &vertex)) continue;
    if (vertex.started != 0 && vertex.completed == 0 && strstr(vertex.name, "] RUN ") != NULL) {
      printf("running %s\n", vertex.name);
      sem_post(&watch->running);
    }
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s CONTEXT\n", argv[0]);
    return 2;
  }
  struct watch watch = {.cancel = depot_cancel_new()};
  depot_solve_options options = DEPOT_SOLVE_OPTIONS_INIT;
  options.cancel = watch.cancel;
  options.on_status = on_status;
  options.user_data = &watch;

  pthread_t canceller;
  sem_init(&watch.running, 0, 0);
  pthread_create(&canceller, NULL, cancel_when_running, &watch);

  depot_error* error = NULL;
  depot_client* client = NULL;
  depot_result* result = NULL;
  depot_solve_request* request = depot_solve_request_new();
  depot_code code = depot_solve_request_set_context(request, argv[1], NULL, &error);
  if (code == DEPOT_OK) code = depot_client_new(NULL, &client, &error);
  if (code == DEPOT_OK)
    code = depot_client_build(client, NULL, NULL, request, &options, &result, &error);
  printf("%s: %s\n", depot_code_name(code), depot_error_text(error));

  sem_post(&watch.running);
  pthread_join(canceller, NULL);
  sem_destroy(&watch.running);
  depot_error_free(error);
  depot_result_free(result);
  depot_client_free(client);
  depot_solve_request_free(request);
  depot_cancel_free(watch.cancel);
  return code == DEPOT_CANCELLED ? 0 : 1;
}
