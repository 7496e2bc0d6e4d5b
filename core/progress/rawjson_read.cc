#include "progress/rawjson_read.h"

#include <moby/buildkit/v1/control.pb.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "base/base64.h"
#include "base/json_depth.h"

namespace depot::progress {
namespace {

namespace control = ::moby::buildkit::v1;
using base::Status;
using nlohmann::json;

constexpr size_t kMaxLine = 256 << 20;  // BuildKit's own messages have at most 16 MiB
constexpr size_t kMaxDepth = 32;

Status wrong(std::string_view what) {
  return base::usage_error("not a line of rawjson progress: " + std::string(what));
}

// Reads members of one object; the first that is not of its kind fails all.
class Reader {
 public:
  explicit Reader(Status& failure) : failure_(failure) {}

  const json* member(const json& object, const char* name) {
    if (!object.is_object()) {
      fail(name);
      return nullptr;
    }
    auto it = object.find(name);
    return it == object.end() || it->is_null() ? nullptr : &*it;
  }

  std::string text(const json& object, const char* name) {
    const json* found = member(object, name);
    if (found == nullptr) return "";
    if (found->is_string()) return found->get<std::string>();
    fail(name);
    return "";
  }
  std::string bytes(const json& value, const char* name) {
    auto out =
        value.is_string() ? base::base64_decode(value.get_ref<const std::string&>()) : std::nullopt;
    if (!out) fail(name);
    return out.value_or("");
  }
  std::string bytes_member(const json& object, const char* name) {
    const json* found = member(object, name);
    return found == nullptr ? "" : bytes(*found, name);
  }
  int64_t number(const json& object, const char* name) {
    const json* found = member(object, name);
    if (found == nullptr) return 0;
    if (found->is_number_integer()) return found->get<int64_t>();
    fail(name);
    return 0;
  }
  bool flag(const json& object, const char* name) {
    const json* found = member(object, name);
    if (found == nullptr) return false;
    if (found->is_boolean()) return found->get<bool>();
    fail(name);
    return false;
  }
  // Whether there is one; RFC 3339 with any fraction and any zone.
  bool time(const json& object, const char* name, google::protobuf::Timestamp* out) {
    const json* found = member(object, name);
    if (found == nullptr) return false;
    if (found->is_string() && parse_time(found->get_ref<const std::string&>(), out)) return true;
    fail(name);
    return false;
  }
  template <class F>
  void each(const json& object, const char* name, F read) {
    const json* found = member(object, name);
    if (found == nullptr) return;
    if (!found->is_array()) return fail(name);
    for (const auto& item : *found) read(item);
  }
  // read(key, value, the object)
  template <class F>
  void pairs(const json& object, const char* name, F read) {
    const json* found = member(object, name);
    if (found == nullptr) return;
    if (!found->is_object()) return fail(name);
    for (const auto& [key, value] : found->items()) read(key, value, *found);
  }

  void fail(std::string_view name) {
    if (failure_.ok()) failure_ = wrong("'" + std::string(name) + "' is not what it should be");
  }

 private:
  static bool parse_time(const std::string& text, google::protobuf::Timestamp* out) {
    std::tm utc{};
    int used = 0;
    if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &utc.tm_year, &utc.tm_mon,
                    &utc.tm_mday, &utc.tm_hour, &utc.tm_min, &utc.tm_sec, &used) != 6)
      return false;
    utc.tm_year -= 1900;
    utc.tm_mon -= 1;
    auto at = static_cast<size_t>(used);
    int32_t nanos = 0;
    if (at < text.size() && text[at] == '.') {
      int32_t unit = 100'000'000;
      for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10)
        nanos += unit * (text[at] - '0');
    }
    int64_t shift = 0;
    if (text.substr(at) != "Z") {
      int hours = 0, minutes = 0;
      char sign = at < text.size() ? text[at] : '\0';
      if ((sign != '+' && sign != '-') ||
          std::sscanf(text.c_str() + at + 1, "%2d:%2d", &hours, &minutes) != 2)
        return false;
      shift = (hours * 60 + minutes) * 60 * (sign == '+' ? 1 : -1);
    }
    out->set_seconds(timegm(&utc) - shift);
    out->set_nanos(nanos);
    return true;
  }

  Status& failure_;
};

void read_group(Reader& r, const json& from, ::pb::ProgressGroup& to) {
  to.set_id(r.text(from, "id"));
  to.set_name(r.text(from, "name"));
  to.set_weak(r.flag(from, "weak"));
}

void read_vertex(Reader& r, const json& from, control::Vertex& to) {
  to.set_digest(r.text(from, "digest"));
  r.each(from, "inputs", [&](const json& input) {
    if (input.is_string())
      to.add_inputs(input.get<std::string>());
    else
      r.fail("inputs");
  });
  to.set_name(r.text(from, "name"));
  google::protobuf::Timestamp time;
  if (r.time(from, "started", &time)) *to.mutable_started() = time;
  if (r.time(from, "completed", &time)) *to.mutable_completed() = time;
  to.set_cached(r.flag(from, "cached"));
  to.set_error(r.text(from, "error"));
  if (const json* group = r.member(from, "progressGroup"))
    read_group(r, *group, *to.mutable_progressgroup());
}

void read_status(Reader& r, const json& from, control::VertexStatus& to) {
  to.set_id(r.text(from, "id"));
  to.set_vertex(r.text(from, "vertex"));
  to.set_name(r.text(from, "name"));
  to.set_total(r.number(from, "total"));
  to.set_current(r.number(from, "current"));
  google::protobuf::Timestamp time;
  if (r.time(from, "timestamp", &time)) *to.mutable_timestamp() = time;
  if (r.time(from, "started", &time)) *to.mutable_started() = time;
  if (r.time(from, "completed", &time)) *to.mutable_completed() = time;
}

void read_log(Reader& r, const json& from, control::VertexLog& to) {
  to.set_vertex(r.text(from, "vertex"));
  to.set_stream(r.number(from, "stream"));
  to.set_msg(r.bytes_member(from, "data"));
  google::protobuf::Timestamp time;
  if (r.time(from, "timestamp", &time)) *to.mutable_timestamp() = time;
}

void read_position(Reader& r, const json& range, const char* name, ::pb::Position* to) {
  const json* from = r.member(range, name);
  if (from == nullptr) return;
  to->set_line(static_cast<int32_t>(r.number(*from, "line")));
  to->set_character(static_cast<int32_t>(r.number(*from, "character")));
}

void read_range(Reader& r, const json& from, ::pb::Range& to) {
  if (r.member(from, "start") != nullptr) read_position(r, from, "start", to.mutable_start());
  if (r.member(from, "end") != nullptr) read_position(r, from, "end", to.mutable_end());
}

void read_metadata(Reader& r, const json& from, ::pb::OpMetadata& to) {
  to.set_ignore_cache(r.flag(from, "ignore_cache"));
  r.pairs(from, "description", [&](const std::string& key, const json&, const json& object) {
    (*to.mutable_description())[key] = r.text(object, key.c_str());
  });
  if (const json* cache = r.member(from, "export_cache"))
    to.mutable_export_cache()->set_value(r.flag(*cache, "Value"));
  r.pairs(from, "caps", [&](const std::string& key, const json&, const json& object) {
    (*to.mutable_caps())[key] = r.flag(object, key.c_str());
  });
  if (const json* group = r.member(from, "progress_group"))
    read_group(r, *group, *to.mutable_progress_group());
  if (const json* resources = r.member(from, "linux_resources")) {
    auto* into = to.mutable_linux_resources();
    into->set_memory(r.number(*resources, "memory"));
    into->set_memoryswap(r.number(*resources, "memorySwap"));
    into->set_cpushares(static_cast<uint64_t>(r.number(*resources, "cpuShares")));
    into->set_cpuperiod(static_cast<uint64_t>(r.number(*resources, "cpuPeriod")));
    into->set_cpuquota(r.number(*resources, "cpuQuota"));
    into->set_cpusetcpus(r.text(*resources, "cpusetCpus"));
    into->set_cpusetmems(r.text(*resources, "cpusetMems"));
  }
}

void read_source_info(Reader& r, const json& from, ::pb::SourceInfo& to);

void read_definition(Reader& r, const json& from, ::pb::Definition& to) {
  r.each(from, "def", [&](const json& def) { to.add_def(r.bytes(def, "def")); });
  r.pairs(from, "metadata", [&](const std::string& key, const json& value, const json&) {
    read_metadata(r, value, (*to.mutable_metadata())[key]);
  });
  const json* source = r.member(from, "Source");
  if (source == nullptr) return;
  auto* into = to.mutable_source();
  r.pairs(*source, "locations", [&](const std::string& key, const json& value, const json&) {
    auto& locations = (*into->mutable_locations())[key];
    r.each(value, "locations", [&](const json& location) {
      auto* place = locations.add_locations();
      place->set_sourceindex(static_cast<int32_t>(r.number(location, "sourceIndex")));
      r.each(location, "ranges",
             [&](const json& range) { read_range(r, range, *place->add_ranges()); });
    });
  });
  r.each(*source, "infos",
         [&](const json& info) { read_source_info(r, info, *into->add_infos()); });
}

void read_source_info(Reader& r, const json& from, ::pb::SourceInfo& to) {
  to.set_filename(r.text(from, "filename"));
  to.set_data(r.bytes_member(from, "data"));
  if (const json* definition = r.member(from, "definition"))
    read_definition(r, *definition, *to.mutable_definition());
  to.set_language(r.text(from, "language"));
}

void read_warning(Reader& r, const json& from, control::VertexWarning& to) {
  to.set_vertex(r.text(from, "vertex"));
  to.set_level(r.number(from, "level"));
  to.set_short_(r.bytes_member(from, "short"));
  r.each(from, "detail", [&](const json& line) { to.add_detail(r.bytes(line, "detail")); });
  to.set_url(r.text(from, "url"));
  if (const json* info = r.member(from, "sourceInfo"))
    read_source_info(r, *info, *to.mutable_info());
  r.each(from, "range", [&](const json& range) { read_range(r, range, *to.add_ranges()); });
}

}  // namespace

Status read_rawjson(std::string_view line, control::StatusResponse& out) {
  out.Clear();
  if (line.size() > kMaxLine || !base::json_is_shallow(line, kMaxDepth)) return wrong("too large");
  json root = json::parse(line, nullptr, false);
  if (!root.is_object()) return wrong("no JSON object");
  Status failure;
  Reader r(failure);
  r.each(root, "vertexes", [&](const json& from) { read_vertex(r, from, *out.add_vertexes()); });
  r.each(root, "statuses", [&](const json& from) { read_status(r, from, *out.add_statuses()); });
  r.each(root, "logs", [&](const json& from) { read_log(r, from, *out.add_logs()); });
  r.each(root, "warnings", [&](const json& from) { read_warning(r, from, *out.add_warnings()); });
  return failure;
}

}  // namespace depot::progress
