// client ADDRESS REQUEST: the scenarios' client in C++. REQUEST is JSON by the field names of
// Python's SolveRequest; the answer is JSON, too: {"response": {...}} or {"error": {...}} with exit
// status 1.
#include <depot/depot.hpp>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

using nlohmann::json;
using Request = depot::SolveRequest;

// "a" or ["a", "b"] -> "a,b".
static std::string joined(const json& value) {
  if (value.is_string()) return value;
  std::string out;
  for (const auto& item : value) out += (out.empty() ? "" : ",") + item.get<std::string>();
  return out;
}

static std::string text(const json& request, const char* field) {
  auto found = request.find(field);
  return found == request.end() || found->is_null() ? std::string() : found->get<std::string>();
}

// For each item of a list.
static auto each(Request& (Request::*add)(const std::string&)) {
  return [add](Request& request, const json& value) {
    for (const auto& item : value) (request.*add)(item.get<std::string>());
  };
}

// For each member of an object.
static auto member(Request& (Request::*set)(const std::string&, const std::string&)) {
  return [set](Request& request, const json& value) {
    for (const auto& [key, item] : value.items()) (request.*set)(key, item.get<std::string>());
  };
}

static auto one(Request& (Request::*set)(const std::string&)) {
  return [set](Request& request, const json& value) { (request.*set)(value.get<std::string>()); };
}

// true, false, or attributes.
static auto attestation(Request& (Request::*set)(const std::string&)) {
  return [set](Request& request, const json& value) {
    (request.*set)(value.is_boolean() ? (value.get<bool>() ? "true" : "false")
                                      : value.get<std::string>());
  };
}

using Field = std::function<void(Request&, const json&)>;

static const std::map<std::string, Field>& fields() {
  static const std::map<std::string, Field> all = {
      {"context", [](Request&, const json&) {}},     // with the Dockerfile, below
      {"dockerfile", [](Request&, const json&) {}},  // likewise
      {"exports",
       [](Request& request, const json& value) {
         for (const auto& spec : value) request.add_output(spec.get<std::string>());
       }},
      {"tags", each(&Request::add_tag)},
      {"push", [](Request& request, const json& value) { request.set_push(value.get<bool>()); }},
      {"build_args",
       [](Request& request, const json& value) {
         for (const auto& [name, given] : value.items()) {
           const char* from = given.is_null() ? std::getenv(name.c_str()) : nullptr;
           if (given.is_string() || from)
             request.set_build_arg(name, from ? std::string(from) : given.get<std::string>());
         }
       }},
      {"files",
       [](Request& request, const json& value) {
         for (const auto& [path, content] : value.items())
           request.add_file(path, content.get<std::string>());
       }},
      {"dockerfile_text",
       [](Request& request, const json& value) {
         request.set_dockerfile_text(value.get<std::string>());
       }},
      {"ignore_text", [](Request& request,
                         const json& value) { request.set_ignore_text(value.get<std::string>()); }},
      {"target",
       [](Request& request, const json& value) { request.set_target(value.get<std::string>()); }},
      {"platform",
       [](Request& request, const json& value) { request.set_platform(joined(value)); }},
      {"no_cache",
       [](Request& request, const json& value) { request.set_no_cache(value.get<bool>()); }},
      {"attrs", member(&Request::set_attr)},
      {"frontend",
       [](Request& request, const json& value) { request.set_frontend(value.get<std::string>()); }},
      {"locals", member(&Request::add_local)},
      {"labels", member(&Request::set_label)},
      {"no_cache_filter", each(&Request::add_no_cache_filter)},
      {"pull", [](Request& request, const json& value) { request.set_pull(value.get<bool>()); }},
      {"add_hosts", each(&Request::add_host)},
      {"network", one(&Request::set_network)},
      {"shm_size", one(&Request::set_shm_size)},
      {"ulimits", each(&Request::add_ulimit)},
      {"cgroup_parent", one(&Request::set_cgroup_parent)},
      {"entitlements", each(&Request::add_entitlement)},
      {"annotations", member(&Request::set_annotation)},
      {"attests", each(&Request::add_attest)},
      {"provenance", attestation(&Request::set_provenance)},
      {"sbom", attestation(&Request::set_sbom)},
      {"resources",
       [](Request& request, const json& value) {
         for (const auto& [kind, limit] : value.items())
           request.add_resource(kind + "=" +
                                (limit.is_string() ? limit.get<std::string>() : limit.dump()));
       }},
      {"call", one(&Request::set_call)},
      {"secrets", each(&Request::add_secret)},
      {"ssh", each(&Request::add_ssh)},
      {"cache_from", each(&Request::add_cache_from)},
      {"cache_to", each(&Request::add_cache_to)},
      {"build_contexts", member(&Request::add_build_context)},
  };
  return all;
}

static depot::SolveRequest make(const json& given) {
  depot::SolveRequest request;
  if (!given.contains("context") || !given["context"].is_null())
    request.set_context(given.contains("context") ? text(given, "context") : ".",
                        text(given, "dockerfile"));
  for (const auto& [name, value] : given.items()) {
    auto field = fields().find(name);
    if (field == fields().end()) {
      std::cerr << "the C++ client has no field " << name << "\n";
      std::exit(2);
    }
    field->second(request, value);
  }
  return request;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: client ADDRESS REQUEST\n";
    return 2;
  }
  try {
    depot::Client client(depot::ClientOptions().builder(argv[1]));
    depot::Result result = client.build(make(json::parse(argv[2])));
    std::cout << json{{"response", result.response()}} << "\n";
    return 0;
  } catch (const depot::error& e) {
    json error = {{"hop", e.hop_name()}, {"code", e.code_name()}, {"message", e.text()}};
    std::cout << json{{"error", error}} << "\n";
    return 1;
  }
}
