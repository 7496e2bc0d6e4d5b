/* solve_dockerfile CONTEXT [OUT.tar]
 * solve_dockerfile tcp://HOST:PORT SERVER_NAME CA CERT KEY CONTEXT [OUT.tar]
 *
 * Builds a directory on the builder that the environment names (or the local one), or on a BuildKit
 * at an address with mutual TLS, and tells every step on stderr. Without OUT.tar the result stays
 * in the builder's cache. */
#include <depot/depot.h>
#include <stdio.h>

/* Each batch tells what is new; a step comes again when it starts, ends or fails. */
static int32_t on_status(const depot_status* status, void* user_data) {
  (void)user_data;
  for (size_t i = 0; i < depot_status_vertex_count(status); ++i) {
    depot_vertex vertex = {.size = sizeof(vertex)};
    if (!depot_status_vertex(status, i, &vertex)) continue;
    if (vertex.completed == 0) {
      if (vertex.started != 0) fprintf(stderr, "start   %s\n", vertex.name);
      continue;
    }
    const char* how = *vertex.error != '\0' ? "failed" : vertex.cached ? "cached" : "done";
    fprintf(stderr, "%-7s %s\n", how, vertex.name);
  }
  for (size_t i = 0; i < depot_status_log_count(status); ++i) {
    depot_vertex_log log = {.size = sizeof(log)};
    if (depot_status_log(status, i, &log)) fwrite(log.data, 1, log.data_size, stderr);
  }
  return 0; /* anything else stops the solve */
}

static depot_code fill(depot_solve_request* request, const char* context, const char* out,
                       depot_error** error) {
  size_t image = 0;
  depot_code code = depot_solve_request_set_context(request, context, NULL, error);
  if (code != DEPOT_OK || out == NULL) return code;
  code = depot_solve_request_add_export(request, "oci", &image, error);
  if (code != DEPOT_OK) return code;
  return depot_solve_request_set_export_file(request, image, out, error);
}

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3 && argc != 7 && argc != 8) {
    fprintf(stderr, "usage: %s [ADDRESS SERVER_NAME CA CERT KEY] CONTEXT [OUT.tar]\n", argv[0]);
    return 2;
  }
  depot_client_options client_options = DEPOT_CLIENT_OPTIONS_INIT;
  char** rest = argv + 1;
  if (argc > 3) {
    client_options.builder = argv[1];
    client_options.tls_server_name = argv[2];
    client_options.tls_ca_file = argv[3];
    client_options.tls_cert_file = argv[4];
    client_options.tls_key_file = argv[5];
    rest = argv + 6;
  }
  depot_solve_options solve_options = DEPOT_SOLVE_OPTIONS_INIT;
  solve_options.on_status = on_status;

  depot_error* error = NULL;
  depot_client* client = NULL;
  depot_result* result = NULL;
  depot_solve_request* request = depot_solve_request_new();
  depot_code code = fill(request, rest[0], rest[1], &error);
  if (code == DEPOT_OK) code = depot_client_new(&client_options, &client, &error);
  if (code == DEPOT_OK)
    code = depot_client_build(client, NULL, NULL, request, &solve_options, &result, &error);
  if (code == DEPOT_OK)
    puts(depot_result_digest(result));
  else
    fprintf(stderr, "%s\n", depot_error_text(error));

  depot_error_free(error);
  depot_result_free(result);
  depot_client_free(client);
  depot_solve_request_free(request);
  return code == DEPOT_OK ? 0 : 1;
}
