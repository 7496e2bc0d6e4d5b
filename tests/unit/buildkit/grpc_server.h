// A server of gRPC's own library, for calls that say by their path what is to be done with them.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>
#include <thread>

namespace depot::buildkit {

// /echo     each message back, until the client half-closes
// /count    the number of messages and of their bytes, at the end
// /flood/N  N messages of 64 KiB, whatever the client says
// /fail     ABORTED with a message and details of 200 KiB
// /sleep    nothing, until it is cancelled
// /headers  what the client sent as metadata, a line each
class GrpcServer {
 public:
  // On a Unix socket.
  explicit GrpcServer(const std::string& path, bool gzip = false);
  ~GrpcServer();
  std::string address() const { return "unix://" + path_; }
  // GOAWAY; calls that run go on.
  void shut_down();
  int cancelled() const;

 private:
  class Service;
  std::string path_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::thread shutting_down_;
};

}  // namespace depot::buildkit
