/* export tcp://HOST:PORT SERVER_NAME CA CERT KEY CONTEXT DIRECTORY
 *
 * Builds a directory and exports the files of the result to another. */
#include <depot/depot.h>
#include <stdio.h>

/* A client that nobody watches would be less work than buildctl's: steps are counted, as a front
 * end would look at each. */
static int32_t on_status(const depot_status* status, void* user_data) {
  *(size_t*)user_data += depot_status_vertex_count(status);
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 8) {
    fprintf(stderr, "usage: %s ADDRESS SERVER_NAME CA CERT KEY CONTEXT DIRECTORY\n", argv[0]);
    return 2;
  }
  depot_client_options client_options = DEPOT_CLIENT_OPTIONS_INIT;
  client_options.builder = argv[1];
  client_options.tls_server_name = argv[2];
  client_options.tls_ca_file = argv[3];
  client_options.tls_cert_file = argv[4];
  client_options.tls_key_file = argv[5];
  size_t steps = 0, index = 0;
  depot_solve_options solve_options = DEPOT_SOLVE_OPTIONS_INIT;
  solve_options.on_status = on_status;
  solve_options.user_data = &steps;

  depot_error* error = NULL;
  depot_client* client = NULL;
  depot_result* result = NULL;
  depot_solve_request* request = depot_solve_request_new();
  depot_code code = depot_solve_request_set_context(request, argv[6], NULL, &error);
  if (code == DEPOT_OK) code = depot_solve_request_add_export(request, "local", &index, &error);
  if (code == DEPOT_OK) code = depot_solve_request_set_export_file(request, index, argv[7], &error);
  if (code == DEPOT_OK) code = depot_client_new(&client_options, &client, &error);
  if (code == DEPOT_OK)
    code = depot_client_build(client, NULL, NULL, request, &solve_options, &result, &error);
  if (code != DEPOT_OK) fprintf(stderr, "%s\n", depot_error_text(error));

  depot_error_free(error);
  depot_result_free(result);
  depot_client_free(client);
  depot_solve_request_free(request);
  return code == DEPOT_OK && steps > 0 ? 0 : 1;
}
