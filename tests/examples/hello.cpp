// hello [CONTEXT [OUT.tar]]: builds a directory's Dockerfile into an OCI image, in one call.
#include <depot/depot.hpp>
#include <iostream>

int main(int argc, char** argv) try {
  std::string context = argc > 1 ? argv[1] : "tests/examples/hello";
  std::string out = argc > 2 ? argv[2] : "hello.tar";

  depot::Client client;
  std::cout << "libdepot " << depot::version() << "\nbuilder: " << client.builder() << "\n";

  depot::SolveRequest request;
  request.set_context(context);
  request.set_export_file(request.add_export("oci"), out);
  depot::Result result = client.build(request);

  std::cout << out << ": " << result.digest() << "\n";
  return 0;
} catch (const depot::error& e) {
  std::cerr << e.text() << "\n";
  return 1;
}
