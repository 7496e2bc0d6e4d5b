#include "unit/http/standin.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

extern char** environ;

namespace depot::test {
namespace {

// Runs a program to its end; its status.
int run(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  int failed = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) return -1;
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

}  // namespace

Standin::Standin(std::vector<std::string> arguments) {
  int in[2], out[2];
  EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
  base::UniqueFd child_in(in[0]), output(out[0]), child_out(out[1]);
  input_.reset(in[1]);
  std::vector<std::string> words{DEPOT_TESTS "/parts/part", "standin"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, child_in.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, child_out.get(), 1);
  EXPECT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  child_out.reset();
  std::string line;
  char c = 0;
  while (::read(output.get(), &c, 1) == 1 && c != '\n') line.push_back(c);
  auto ready = nlohmann::json::parse(line, nullptr, false);
  if (!ready.is_object()) {
    ADD_FAILURE() << "the stand-in did not start: " << line;
    return;
  }
  url_ = ready["standin"].value("url", "");
  http::Options options;
  options.environment.emplace();
  steer_by(std::move(options));
}

Standin::~Standin() {
  input_.reset();
  int status = 0;
  if (pid_ > 0) waitpid(pid_, &status, 0);
}

std::string Standin::ask(const std::string& verb, const std::string& path,
                         const std::string& body) {
  http::Request request;
  request.method = verb;
  request.url = (url_.empty() ? "https://127.0.0.1" : url_) + path;
  request.body = base::Secret(body);
  auto response = steer_->fetch(std::move(request), base::Cancel::never());
  if (!response.ok() || response->status >= 300) {
    ADD_FAILURE() << path << ": " << (response.ok() ? response->body : response.status().message());
    return "[]";
  }
  return response->body;
}

void Standin::script(const nlohmann::json& script) {
  ask("POST", "/_/script", script.dump());
}

nlohmann::json Standin::calls(const std::string& method, size_t at_least, bool ended) {
  return nlohmann::json::parse(ask(
      "GET",
      "/_/calls?method=" + method + "&min=" + std::to_string(at_least) + (ended ? "&done=1" : ""),
      ""));
}

TempFolder::TempFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "depot-test-XXXXXX").string();
  EXPECT_NE(mkdtemp(pattern.data()), nullptr);
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempFolder::write(const std::string& name, const std::string& text) const {
  std::filesystem::path file = std::filesystem::path(path_) / name;
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
  return file.string();
}

Certificate make_certificate(const TempFolder& folder, const std::string& name) {
  Certificate made;
  made.cert_file = folder.path() + "/cert.pem";
  made.key_file = folder.path() + "/key.pem";
  EXPECT_EQ(run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                 "-addext", "subjectAltName=IP:127.0.0.1,DNS:" + name, "-keyout", made.key_file,
                 "-out", made.cert_file}),
            0);
  std::stringstream pem;
  pem << std::ifstream(made.cert_file).rdbuf();
  made.pem = pem.str();
  return made;
}

}  // namespace depot::test
