// depot_flow CONTEXT [--token TOKEN] [--project ID] [--platform amd64|arm64]
//
// The whole flow on Depot, step by step: register a build, lease a machine, connect, solve, give
// the machine back, tell how it went. Without --token and --project: DEPOT_TOKEN and
// DEPOT_PROJECT_ID. Ctrl-C cancels: the machine stops building, and Depot hears "canceled".
#include <pthread.h>
#include <signal.h>

#include <depot/depot.hpp>
#include <iostream>
#include <map>
#include <thread>

// A switch may be triggered from any thread, but not in a signal handler: a thread of its own waits
// for the signal, which every other thread has blocked.
class CancelOnInterrupt {
 public:
  explicit CancelOnInterrupt(const depot::Cancel& cancel) {
    sigemptyset(&interrupt_);
    sigaddset(&interrupt_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt_, nullptr);
    watcher_ = std::thread([this, cancel] {
      int number;
      sigwait(&interrupt_, &number);
      cancel.trigger();
    });
  }
  ~CancelOnInterrupt() {
    pthread_kill(watcher_.native_handle(), SIGINT);  // it is still waiting, or gone already
    watcher_.join();
  }

 private:
  sigset_t interrupt_;
  std::thread watcher_;
};

int main(int argc, char** argv) try {
  std::map<std::string, std::string> flags;
  for (int i = 2; i + 1 < argc; i += 2) flags[argv[i]] = argv[i + 1];
  if (argc < 2 || argc % 2 != 0) {
    std::cerr << "usage: " << argv[0] << " CONTEXT [--token T] [--project ID] [--platform P]\n";
    return 2;
  }
  depot::Cancel cancel;
  CancelOnInterrupt watcher(cancel);

  depot::SolveRequest request;
  request.set_context(argv[1]);
  depot::SolveOptions options;
  options.cancel(cancel).on_status([](const depot::Status& s) { std::cerr << s.json() << "\n"; });
  depot::MachineOptions wait;
  wait.cancel(cancel);

  depot::Client client(
      depot::ClientOptions().builder("depot").token(flags["--token"]).project(flags["--project"]));
  depot::Build build = client.new_build(depot::BuildOptions().context_dir(argv[1]).cancel(cancel));
  std::cout << "build " << build.id() << " " << build.url() << "\n";

  // run() finishes the build by how the function ends: success when it returns, canceled or failed
  // when it throws.
  build.run([&](depot::Build&) {
    depot::Machine machine = build.acquire(flags["--platform"], wait);
    machine.connect(wait);
    depot::Result result = machine.solve(request, options);
    machine.release();
    std::cout << "solved " << result.ref() << "\n";
  });
  return 0;
} catch (const depot::error& e) {
  std::cerr << e.text() << "\n";
  return e.cancelled() ? 130 : 1;
}
