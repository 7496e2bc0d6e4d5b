// The same over depot.hpp; an error thrown on one side of the library's border is caught on this
// one.
#include <depot/depot.hpp>
#include <iostream>

int main() {
  depot::ClientOptions options;
  depot::Client client(options.builder("unix:///nonexistent/buildkitd.sock"));
  std::cout << "libdepot " << depot::version() << " on " << client.builder() << "\n";
  try {
    depot::Client(options.builder("smoke://signals"));
  } catch (const depot::error& e) {
    return e.code() == DEPOT_INVALID_ARGUMENT ? 0 : 1;
  }
  return 1;
}
