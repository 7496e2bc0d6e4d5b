/* depot_flow CONTEXT [--token TOKEN] [--project ID] [--platform amd64|arm64]
 *
 * The whole flow on Depot, step by step: register a build, lease a machine, connect, solve, give
 * the machine back, tell how it went. Without --token and --project: DEPOT_TOKEN and
 * DEPOT_PROJECT_ID. Ctrl-C cancels: the machine stops building, and Depot hears "canceled". */
#define _POSIX_C_SOURCE 200809L
#include <depot/depot.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A switch may be triggered from any thread, but not in a signal handler: this thread waits for the
 * signal. Every other thread has it blocked. */
static void* cancel_on_interrupt(void* cancel) {
  sigset_t interrupt;
  int number;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  sigwait(&interrupt, &number);
  depot_cancel_trigger(cancel);
  return NULL;
}

static int32_t on_status(const depot_status* status, void* user_data) {
  (void)user_data;
  fprintf(stderr, "%s\n", depot_status_json(status));
  return 0;
}

static depot_code solve(depot_build* build, const char* context, const char* platform,
                        depot_cancel* cancel, depot_error** error) {
  depot_machine_options wait = DEPOT_MACHINE_OPTIONS_INIT;
  depot_solve_options options = DEPOT_SOLVE_OPTIONS_INIT;
  wait.cancel = options.cancel = cancel;
  options.on_status = on_status;

  depot_machine* machine = NULL;
  depot_result* result = NULL;
  depot_solve_request* request = depot_solve_request_new();
  depot_code code = depot_solve_request_set_context(request, context, NULL, error);
  if (code == DEPOT_OK) code = depot_machine_acquire(build, platform, &wait, &machine, error);
  if (code == DEPOT_OK) code = depot_machine_connect(machine, &wait, error);
  if (code == DEPOT_OK) code = depot_solve(machine, request, &options, &result, error);
  if (code == DEPOT_OK) printf("solved %s\n", depot_result_ref(result));
  depot_machine_release(machine);

  depot_machine_free(machine); /* frees take NULL, and go in any order */
  depot_result_free(result);
  depot_solve_request_free(request);
  return code;
}

int main(int argc, char** argv) {
  depot_client_options options = DEPOT_CLIENT_OPTIONS_INIT;
  depot_build_options build_options = DEPOT_BUILD_OPTIONS_INIT;
  const char* platform = NULL;
  options.builder = "depot";
  for (int i = 2; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--token") == 0) options.token = argv[i + 1];
    if (strcmp(argv[i], "--project") == 0) options.project = argv[i + 1];
    if (strcmp(argv[i], "--platform") == 0) platform = argv[i + 1];
  }
  if (argc < 2 || argc % 2 != 0) {
    fprintf(stderr, "usage: %s CONTEXT [--token T] [--project ID] [--platform P]\n", argv[0]);
    return 2;
  }
  sigset_t interrupt;
  pthread_t watcher;
  depot_cancel* cancel = depot_cancel_new();
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, NULL);
  pthread_create(&watcher, NULL, cancel_on_interrupt, cancel);

  depot_error *error = NULL, *unheard = NULL;
  depot_client* client = NULL;
  depot_build* build = NULL;
  build_options.context_dir = argv[1];
  build_options.cancel = cancel;
  depot_code code = depot_client_new(&options, &client, &error);
  if (code == DEPOT_OK) code = depot_build_new(client, &build_options, &build, &error);
  if (code == DEPOT_OK) {
    printf("build %s %s\n", depot_build_id(build), depot_build_url(build));
    code = solve(build, argv[1], platform, cancel, &error);
    depot_outcome outcome = code == DEPOT_OK          ? DEPOT_OUTCOME_SUCCESS
                            : code == DEPOT_CANCELLED ? DEPOT_OUTCOME_CANCELED
                                                      : DEPOT_OUTCOME_FAILED;
    if (depot_build_finish(build, outcome, depot_error_message(error), &unheard) != DEPOT_OK)
      fprintf(stderr, "Depot was not told: %s\n", depot_error_text(unheard));
  }
  if (code != DEPOT_OK) fprintf(stderr, "%s\n", depot_error_text(error));

  pthread_kill(watcher, SIGINT); /* it is still waiting, or gone already; the build is over */
  pthread_join(watcher, NULL);
  depot_error_free(unheard);
  depot_error_free(error);
  depot_build_free(build);
  depot_client_free(client);
  depot_cancel_free(cancel);
  return code == DEPOT_OK ? 0 : code == DEPOT_CANCELLED ? 130 : 1;
}
