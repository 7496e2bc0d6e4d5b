// solve_dockerfile CONTEXT [OUT.tar]
// solve_dockerfile tcp://HOST:PORT SERVER_NAME CA CERT KEY CONTEXT [OUT.tar]
//
// Builds a directory on the builder that the environment names (or the local one), or on a BuildKit
// at an address with mutual TLS, and tells every step on stderr. Without OUT.tar the result stays
// in the builder's cache.
#include <depot/depot.hpp>
#include <iostream>
#include <vector>

// Each batch tells what is new; a step comes again when it starts, ends or fails.
static void tell(const depot::Status& status) {
  for (const depot_vertex& vertex : status.vertices()) {
    if (vertex.completed != 0)
      std::cerr << (*vertex.error != '\0' ? "failed" : vertex.cached ? "cached" : "done") << "\t";
    else if (vertex.started != 0)
      std::cerr << "start\t";
    else
      continue;
    std::cerr << vertex.name << "\n";
  }
  for (const depot_vertex_log& log : status.logs()) std::cerr << depot::text(log);
}

int main(int argc, char** argv) try {
  std::vector<std::string> args(argv + 1, argv + argc);
  depot::ClientOptions options;
  if (args.size() > 5) {
    options.builder(args[0]).tls(args[2], args[3], args[4], args[1]);
    args.erase(args.begin(), args.begin() + 5);
  }
  if (args.empty() || args.size() > 2) {
    std::cerr << "usage: " << argv[0] << " [ADDRESS SERVER_NAME CA CERT KEY] CONTEXT [OUT.tar]\n";
    return 2;
  }

  depot::SolveRequest request;
  request.set_context(args[0]);
  if (args.size() > 1) request.set_export_file(request.add_export("oci"), args[1]);

  depot::Client client(options);
  depot::Result result = client.build(request, depot::SolveOptions().on_status(tell));
  std::cout << result.digest() << "\n";
  return 0;
} catch (const depot::error& e) {
  std::cerr << e.text() << "\n";
  return 1;
}
