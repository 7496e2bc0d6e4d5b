/* hello [CONTEXT [OUT.tar]]: builds a directory's Dockerfile into an OCI image, in one call. */
#include <depot/depot.h>
#include <stdio.h>

int main(int argc, char** argv) {
  const char* context = argc > 1 ? argv[1] : "tests/examples/hello";
  const char* out = argc > 2 ? argv[2] : "hello.tar";
  depot_error* error = NULL;
  depot_client* client = NULL;
  depot_result* result = NULL;
  depot_solve_request* request = depot_solve_request_new();
  size_t image = 0;

  printf("libdepot %s\n", depot_version_string());
  if (depot_client_new(NULL, &client, &error) == DEPOT_OK) {
    printf("builder: %s\n", depot_client_builder(client));
  }
  if (error == NULL &&
      depot_solve_request_set_context(request, context, NULL, &error) == DEPOT_OK &&
      depot_solve_request_add_export(request, "oci", &image, &error) == DEPOT_OK &&
      depot_solve_request_set_export_file(request, image, out, &error) == DEPOT_OK &&
      depot_client_build(client, NULL, NULL, request, NULL, &result, &error) == DEPOT_OK) {
    printf("%s: %s\n", out, depot_result_digest(result));
  }

  int failed = error != NULL;
  if (failed) fprintf(stderr, "%s\n", depot_error_text(error));
  depot_error_free(error);
  depot_result_free(result);
  depot_solve_request_free(request);
  depot_client_free(client);
  return failed;
}
