// ApiService: everything the daemon answers over HTTP. Depot's BuildService by the Connect
// protocol, the launcher's few words (localbuilder/handshake.h), and the books.
#pragma once

#include <functional>
#include <string>

#include "base/secret.h"
#include "builderd/books.h"
#include "builderd/connect_server.h"
#include "builderd/control_plane.h"

namespace depot::builderd {

class ApiService : public HttpService {
 public:
  // `user_token`: see build_service(). `retire` is called, on the loop, after the launcher was told
  // that the daemon ends. Loop, plane and books must outlive the service.
  ApiService(base::EpollLoop& loop, ControlPlane& plane, Books& books,
             const base::Secret& user_token, std::function<void()> retire);

  void handle(HttpRequest request, Done done) override;
  bool admits(const http2::Headers& headers) const override;
  bool drops_body(const std::string& path) const override { return connect_.drops_body(path); }
  HttpResponse refusal(int status) const override { return connect_.refusal(status); }

 private:
  HttpResponse hello(const HttpRequest& request) const;
  HttpResponse retire(const HttpRequest& request);

  base::EpollLoop& loop_;
  ControlPlane& plane_;
  Books& books_;
  const base::Secret user_token_;
  const std::function<void()> retire_;
  ConnectServer connect_;
};

}  // namespace depot::builderd
