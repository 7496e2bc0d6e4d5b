// The C++ half of the comparison with BuildKit's own displays (progress_test.go is the other): a
// recorded stream on standard input ("<nanoseconds> <batch as JSON>"), what our plain display
// prints for it on standard output. The clock is the recording's. With "rawjson": the batches read
// and written again.
#include <moby/buildkit/v1/control.pb.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "progress/plain.h"
#include "progress/rawjson.h"
#include "progress/rawjson_read.h"

namespace {

using namespace depot;

struct Line {
  progress::Moment at;
  moby::buildkit::v1::StatusResponse batch;
};

bool next(Line& out) {
  std::string line;
  if (!std::getline(std::cin, line)) return false;
  char* end = nullptr;
  out.at = progress::Moment(std::strtoll(line.c_str(), &end, 10));
  base::Status status = progress::read_rawjson(end + 1, out.batch);
  if (!status.ok()) {
    std::cerr << status.message() << "\n";
    std::exit(1);
  }
  return true;
}

int plain() {
  progress::Plain display;
  progress::Pace pace;
  progress::Moment now{};
  std::string out;
  pace.begin(now);
  for (Line line; next(line);) {
    for (; pace.next() < line.at; pace.ticked(pace.next())) display.print(pace.next(), out);
    now = line.at;
    display.update(line.batch, now);
    if (pace.batch(now)) display.print(now, out);
  }
  display.finish(now, progress::Ending::kSuccess, out);
  std::cout << out;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "plain") return plain();
  if (argc != 2 || std::string(argv[1]) != "rawjson") return 2;
  for (Line line; next(line);) std::cout << progress::rawjson(line.batch) << "\n";
  return 0;
}
