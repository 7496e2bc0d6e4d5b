// cancel CONTEXT: cancels a build as soon as one of its RUN steps is running, from another thread.
#include <depot/depot.hpp>
#include <future>
#include <iostream>
#include <string_view>

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " CONTEXT\n";
    return 2;
  }
  depot::Cancel cancel;
  std::future<void> canceller;  // waits for its thread when it goes, so after the promise
  std::promise<void> running;   // kept when a RUN step is at work; broken when there was none
  canceller = std::async(std::launch::async, [cancel, step = running.get_future()] {
    step.wait();
    cancel.trigger();
  });

  depot::SolveOptions options;
  options.cancel(cancel).on_status([&, told = false](const depot::Status& status) mutable {
    for (const depot_vertex& vertex : status.vertices()) {
      bool run = std::string_view(vertex.name).find("] RUN ") != std::string_view::npos;
      if (told || !run || vertex.started == 0 || vertex.completed != 0) continue;
      std::cout << "running " << vertex.name << "\n";
      running.set_value();
      told = true;
    }
  });

  depot::SolveRequest request;
  request.set_context(argv[1]);
  depot::Client().build(request, options);
  std::cout << "OK: the build was over first\n";
  return 1;
} catch (const depot::error& e) {
  std::cout << e.code_name() << ": " << e.text() << "\n";
  return e.cancelled() ? 0 : 1;
}
