#include "localbuilder/books.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace depot::localbuilder {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using nlohmann::json;

namespace {

// Names of directories may be no UTF-8.
std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json parse(std::string_view body) {
  return json::parse(body, nullptr, false);
}

Status malformed(const char* what) {
  return Status(Code::kInternal, Hop::kBuilder,
                std::string("the local builder's ") + what + " is malformed");
}

// Members that are absent or of another type are what `otherwise` says.
std::string string_in(const json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}
int64_t number_in(const json& object, const char* name, int64_t otherwise = 0) {
  auto found = object.find(name);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}
bool flag_in(const json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

ProjectMachine machine_in(const json& object) {
  ProjectMachine machine;
  machine.architecture = string_in(object, "architecture");
  machine.state = static_cast<MachineState>(number_in(object, "state"));
  machine.pid = number_in(object, "pid");
  machine.buildkit_version = string_in(object, "buildkit_version");
  machine.builds = number_in(object, "builds");
  return machine;
}

Project project_in(const json& object) {
  Project project;
  project.id = string_in(object, "id");
  project.directory = string_in(object, "directory");
  project.builds = number_in(object, "builds");
  project.last_used = number_in(object, "last_used");
  project.cache_bytes = number_in(object, "cache_bytes", -1);
  project.cache_complete = flag_in(object, "cache_complete");
  auto machines = object.find("machines");
  if (machines != object.end() && machines->is_array()) {
    for (const json& one : *machines) {
      if (one.is_object()) project.machines.push_back(machine_in(one));
    }
  }
  return project;
}

}  // namespace

bool good_project(std::string_view id) {
  auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !id.empty() && id.size() <= 64 && id.front() != '.' &&
         std::all_of(id.begin(), id.end(), good);
}

Status bad_project() {
  return Status(Code::kInvalidArgument, Hop::kBuilder,
                "project id may hold letters, digits, '-', '_' and '.' (64 at most)");
}

std::string format_question(const BooksQuestion& question) {
  json out = {{"force", question.force}, {"patience_ms", question.patience.count()}};
  if (question.project) out["project"] = *question.project;
  return text_of(out);
}

Result<BooksQuestion> parse_question(std::string_view body) {
  json given = parse(body);
  if (!given.is_object()) {
    return Status(Code::kInvalidArgument, Hop::kBuilder, "the question is no JSON object");
  }
  BooksQuestion question;
  question.force = flag_in(given, "force");
  question.patience = std::chrono::milliseconds(number_in(given, "patience_ms"));
  // A project of another type must not become "all".
  if (given.contains("project")) {
    question.project = string_in(given, "project");
    if (!good_project(*question.project)) return bad_project();
  }
  return question;
}

std::string format_projects(const std::vector<Project>& projects) {
  json list = json::array();
  for (const Project& project : projects) {
    json machines = json::array();
    for (const ProjectMachine& machine : project.machines) {
      machines.push_back({{"architecture", machine.architecture},
                          {"state", static_cast<int32_t>(machine.state)},
                          {"pid", machine.pid},
                          {"buildkit_version", machine.buildkit_version},
                          {"builds", machine.builds}});
    }
    list.push_back({{"id", project.id},
                    {"directory", project.directory},
                    {"machines", std::move(machines)},
                    {"builds", project.builds},
                    {"last_used", project.last_used},
                    {"cache_bytes", project.cache_bytes},
                    {"cache_complete", project.cache_complete}});
  }
  return text_of({{"projects", std::move(list)}});
}

Result<std::vector<Project>> parse_projects(std::string_view body) {
  json given = parse(body);
  if (!given.is_object() || !given.contains("projects") || !given["projects"].is_array()) {
    return malformed("list of projects");
  }
  std::vector<Project> projects;
  for (const json& one : given["projects"]) {
    if (!one.is_object()) return malformed("list of projects");
    projects.push_back(project_in(one));
  }
  return projects;
}

std::string format_number(const char* name, int64_t number) {
  return text_of({{name, number}});
}

Result<int64_t> parse_number(const char* name, std::string_view body) {
  json given = parse(body);
  if (!given.is_object() || !given.contains(name) || !given[name].is_number_integer()) {
    return malformed("answer");
  }
  return given[name].get<int64_t>();
}

std::string format_error(const Status& status) {
  return text_of({{"code", static_cast<int32_t>(status.code())},
                  {"message", status.message()},
                  {"hint", status.ok() ? std::string() : status.error().hint}});
}

Status parse_error(int http_status, std::string_view body) {
  if (http_status == 404) {
    return Status(Code::kUnimplemented, Hop::kBuilder,
                  "the running local builder is of an older version, which keeps no books")
        .with_hint("it ends by itself once nobody builds; then the next build starts a newer one");
  }
  json given = parse(body);
  if (!given.is_object() || string_in(given, "message").empty()) {
    return Status(Code::kUnknown, Hop::kBuilder,
                  "the local builder answered " + std::to_string(http_status));
  }
  Code code = base::code_from_number(number_in(given, "code"));
  Status status(code == Code::kOk ? Code::kUnknown : code, Hop::kBuilder,
                string_in(given, "message"));
  std::string hint = string_in(given, "hint");
  return hint.empty() ? status : status.with_hint(std::move(hint));
}

}  // namespace depot::localbuilder
