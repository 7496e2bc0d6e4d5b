// What went wrong, as a value: the one error type of libdepot.
//
// Every fallible function in core returns base::Status or base::Result<T> (status.h), both of which
// point at one immutable Error. Layers add what they know on the way up (the hop, the vertex, the
// Dockerfile lines); none of it is squeezed through strings, which is why this is our own type and
// not absl::Status with payloads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace depot::base {

// google.rpc.Code: BuildKit, gRPC and the Depot API share these numbers. Frozen.
enum class Code : int32_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// Which hop of a build failed. Frozen: the numbers are DEPOT_HOP_* of the C API.
enum class Hop : int32_t {
  kNone = 0,
  kUsage = 1,      // the caller's arguments
  kLocal = 2,      // files, memory, disk of this machine
  kApi = 3,        // the Depot API (api.depot.dev or the local builder's socket)
  kProxy = 4,      // an HTTP proxy on the way
  kBuilder = 5,    // starting or supervising the local builder
  kMachine = 6,    // the connection to the machine's BuildKit
  kSession = 7,    // the session tunnel: BuildKit calling back into us
  kSolve = 8,      // the build itself, as BuildKit reports it
  kRegistry = 9,   // a registry or its token server
  kHelper = 10,    // a credential helper program
  kCallback = 11,  // a callback of the user's
};

// 1-based lines, 0-based characters, as BuildKit's pb.Range has them.
struct SourceRange {
  int32_t start_line = 0;
  int32_t start_character = 0;
  int32_t end_line = 0;
  int32_t end_character = 0;
};

// A place in a Dockerfile (or other source) that an error points at.
struct SourceLocation {
  std::string filename;
  std::string data;  // the whole source file as BuildKit read it, for rendering
  std::string language;
  std::vector<SourceRange> ranges;
};

// One google.protobuf.Any of a gRPC status, untouched; unknown ones are kept too.
struct ErrorDetail {
  std::string type_url;
  std::string value;
};

struct Error {
  Code code = Code::kUnknown;
  Hop hop = Hop::kNone;
  bool retryable = false;
  std::string message;        // one line, objective; never a secret
  std::string hint;           // what to do about it, or empty
  std::string vertex_digest;  // failing step, or empty
  std::string vertex_name;
  std::vector<SourceLocation> sources;  // innermost first
  std::string log_tail;                 // last lines the failing step printed
  std::vector<ErrorDetail> details;
  int32_t exit_code = -1;  // of the failing process, -1: none
  int32_t user_code = 0;   // what a user's callback returned, 0: none
};

// "NotFound", "DeadlineExceeded", ...: the names Go's gRPC prints.
std::string_view code_name(Code code);
// "api", "machine", ...: stable, lower case.
std::string_view hop_name(Hop hop);
// Numbers outside 0..16 become kUnknown.
Code code_from_number(int64_t number);

}  // namespace depot::base
