// The stand-in for Depot's API (tests/parts): a Go server over connect-go's generated handlers, for
// HTTP/1.1 and HTTP/2, with or without TLS.
#pragma once

#include <sys/types.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/fd.h"
#include "http/client.h"

namespace depot::test {

class Standin {
 public:
  // `arguments` go to the program, "--token secret --project p1 -listen /path".
  explicit Standin(std::vector<std::string> arguments = {});
  ~Standin();

  const std::string& url() const { return url_; }
  // Requests to steer by go through this client, whose options have to fit the stand-in's.
  void steer_by(http::Options options) { steer_ = http::Client::create(std::move(options)); }
  void script(const nlohmann::json& script);
  // Calls that arrived, once `at_least` of `method` did; with `ended`, only those that ended.
  nlohmann::json calls(const std::string& method = "", size_t at_least = 0, bool ended = false);

 private:
  std::string ask(const std::string& verb, const std::string& path, const std::string& body);

  pid_t pid_ = -1;
  base::UniqueFd input_;  // the part ends when this closes
  std::string url_;
  std::shared_ptr<http::Client> steer_;
};

// A folder that goes with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  const std::string& path() const { return path_; }
  // Makes folders as needed.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

// A self-signed certificate for 127.0.0.1 and this name, made into the folder.
struct Certificate {
  std::string cert_file, key_file, pem;
};
Certificate make_certificate(const TempFolder& folder, const std::string& name);

}  // namespace depot::test
