/* A program of a stranger's: it knows the installed headers and nothing else. */
#include <depot/depot.h>
#include <stdio.h>

int main(void) {
  depot_client_options options = DEPOT_CLIENT_OPTIONS_INIT;
  depot_client* client = NULL;
  depot_error* error = NULL;
  options.builder = "unix:///nonexistent/buildkitd.sock";
  if (depot_client_new(&options, &client, &error) != DEPOT_OK) {
    fprintf(stderr, "%s\n", depot_error_text(error));
    depot_error_free(error);
    return 1;
  }
  printf("libdepot %s on %s\n", depot_version_string(), depot_client_builder(client));
  depot_client_free(client);
  return depot_version_number() == DEPOT_VERSION_NUMBER ? 0 : 1;
}
