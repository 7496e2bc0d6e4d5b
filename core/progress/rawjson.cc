#include "progress/rawjson.h"

#include <moby/buildkit/v1/control.pb.h>

#include <array>
#include <ctime>
#include <map>

namespace depot::progress {
namespace {

namespace control = ::moby::buildkit::v1;

// Length of the valid UTF-8 sequence at `i`, or 0. Go's rules: no surrogates, nothing overlong.
size_t utf8_length(std::string_view text, size_t i) {
  auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  auto follows = [&](size_t count) {
    if (i + count >= text.size()) return false;
    for (size_t k = 1; k <= count; ++k)
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    return true;
  };
  unsigned char first = byte(i);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!follows(2)) return 0;
    if (first == 0xe0 && byte(i + 1) < 0xa0) return 0;
    if (first == 0xed && byte(i + 1) > 0x9f) return 0;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!follows(3)) return 0;
    if (first == 0xf0 && byte(i + 1) < 0x90) return 0;
    if (first == 0xf4 && byte(i + 1) > 0x8f) return 0;
    return 4;
  }
  return 0;
}

// Writes one object or array, keeping track of commas.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void open(char bracket) {
    out_.push_back(bracket);
    first_ = true;
  }
  void close(char bracket) {
    out_.push_back(bracket);
    first_ = false;
  }
  void element() {
    if (!first_) out_.push_back(',');
    first_ = false;
  }
  void key(std::string_view name) {
    element();
    out_.push_back('"');
    out_ += name;
    out_ += "\":";
  }

  void text(std::string_view text) {
    constexpr char kHex[] = "0123456789abcdef";
    out_.push_back('"');
    for (size_t i = 0; i < text.size();) {
      auto c = static_cast<unsigned char>(text[i]);
      if (c < 0x80) {
        ++i;
        switch (c) {
          case '"':
            out_ += "\\\"";
            break;
          case '\\':
            out_ += "\\\\";
            break;
          case '\n':
            out_ += "\\n";
            break;
          case '\r':
            out_ += "\\r";
            break;
          case '\t':
            out_ += "\\t";
            break;
          case '\b':
            out_ += "\\b";
            break;
          case '\f':
            out_ += "\\f";
            break;
          default:
            if (c < 0x20 || c == '<' || c == '>' || c == '&') {
              out_ += "\\u00";
              out_.push_back(kHex[c >> 4]);
              out_.push_back(kHex[c & 15]);
            } else {
              out_.push_back(static_cast<char>(c));
            }
        }
        continue;
      }
      size_t length = utf8_length(text, i);
      if (length == 0) {
        out_ += "\\ufffd";
        ++i;
        continue;
      }
      std::string_view rune = text.substr(i, length);
      if (rune == "\xe2\x80\xa8")
        out_ += "\\u2028";
      else if (rune == "\xe2\x80\xa9")
        out_ += "\\u2029";
      else
        out_ += rune;
      i += length;
    }
    out_.push_back('"');
  }

  void base64(std::string_view bytes) {
    constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out_.push_back('"');
    for (size_t i = 0; i < bytes.size(); i += 3) {
      uint32_t bits = 0;
      size_t left = std::min<size_t>(3, bytes.size() - i);
      for (size_t k = 0; k < 3; ++k)
        bits = bits << 8 | (k < left ? static_cast<unsigned char>(bytes[i + k]) : 0U);
      out_.push_back(kDigits[bits >> 18]);
      out_.push_back(kDigits[bits >> 12 & 63]);
      out_.push_back(left > 1 ? kDigits[bits >> 6 & 63] : '=');
      out_.push_back(left > 2 ? kDigits[bits & 63] : '=');
    }
    out_.push_back('"');
  }

  void number(int64_t value) { out_ += std::to_string(value); }

  // RFC 3339 with nanoseconds, trailing zeros of the fraction dropped.
  void time(const google::protobuf::Timestamp& stamp) {
    time_t seconds = stamp.seconds();
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 64> buffer{};
    int size = std::snprintf(buffer.data(), buffer.size(), "%04d-%02d-%02dT%02d:%02d:%02d",
                             utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                             utc.tm_min, utc.tm_sec);
    std::string text(buffer.data(), static_cast<size_t>(size));
    if (stamp.nanos() > 0 && stamp.nanos() < 1000000000) {
      size = std::snprintf(buffer.data(), buffer.size(), ".%09d", stamp.nanos());
      std::string fraction(buffer.data(), static_cast<size_t>(size));
      fraction.resize(fraction.find_last_not_of('0') + 1);
      text += fraction;
    }
    out_ += '"' + text + "Z\"";
  }

  void raw(std::string_view text) { out_ += text; }

  // The omitempty forms.
  void text_field(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    key(name);
    text(value);
  }
  void number_field(std::string_view name, int64_t value) {
    if (value == 0) return;
    key(name);
    number(value);
  }
  void bool_field(std::string_view name, bool value) {
    if (!value) return;
    key(name);
    raw("true");
  }
  void bytes_field(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    key(name);
    base64(value);
  }
  template <class Message>
  void list(std::string_view name, const Message& items,
            void (*write)(Writer&, const typename Message::value_type&)) {
    if (items.empty()) return;
    key(name);
    open('[');
    for (const auto& item : items) {
      element();
      write(*this, item);
    }
    close(']');
  }
  // Sorted by key, as Go writes maps.
  template <class Map>
  void map(std::string_view name, const Map& items,
           void (*write)(Writer&, const typename Map::mapped_type&)) {
    if (items.empty()) return;
    std::map<std::string_view, const typename Map::mapped_type*> sorted;
    for (const auto& [item, value] : items) sorted[item] = &value;
    key(name);
    open('{');
    for (const auto& [item, value] : sorted) {
      element();
      text(item);
      raw(":");
      write(*this, *value);
    }
    close('}');
  }

 private:
  std::string& out_;
  bool first_ = true;
};

void write_text(Writer& w, const std::string& text) {
  w.text(text);
}
void write_bytes(Writer& w, const std::string& bytes) {
  w.base64(bytes);
}
void write_bool(Writer& w, const bool& value) {
  w.raw(value ? "true" : "false");
}

void write_progress_group(Writer& w, const ::pb::ProgressGroup& group) {
  w.open('{');
  w.text_field("id", group.id());
  w.text_field("name", group.name());
  w.bool_field("weak", group.weak());
  w.close('}');
}

void write_vertex(Writer& w, const control::Vertex& vertex) {
  w.open('{');
  w.text_field("digest", vertex.digest());
  w.list("inputs", vertex.inputs(), &write_text);
  w.text_field("name", vertex.name());
  if (vertex.has_started()) {
    w.key("started");
    w.time(vertex.started());
  }
  if (vertex.has_completed()) {
    w.key("completed");
    w.time(vertex.completed());
  }
  w.bool_field("cached", vertex.cached());
  w.text_field("error", vertex.error());
  if (vertex.has_progressgroup()) {
    w.key("progressGroup");
    write_progress_group(w, vertex.progressgroup());
  }
  w.close('}');
}

void write_status(Writer& w, const control::VertexStatus& status) {
  w.open('{');
  w.key("id");
  w.text(status.id());
  w.text_field("vertex", status.vertex());
  w.text_field("name", status.name());
  w.number_field("total", status.total());
  w.key("current");
  w.number(status.current());
  w.key("timestamp");
  w.time(status.timestamp());
  if (status.has_started()) {
    w.key("started");
    w.time(status.started());
  }
  if (status.has_completed()) {
    w.key("completed");
    w.time(status.completed());
  }
  w.close('}');
}

void write_log(Writer& w, const control::VertexLog& log) {
  w.open('{');
  w.text_field("vertex", log.vertex());
  w.number_field("stream", log.stream());
  w.key("data");
  // Absent and empty bytes are the same on the wire; Go reads both as nil.
  if (log.msg().empty())
    w.raw("null");
  else
    w.base64(log.msg());
  w.key("timestamp");
  w.time(log.timestamp());
  w.close('}');
}

void write_position(Writer& w, std::string_view key, const ::pb::Position& position) {
  w.key(key);
  w.open('{');
  w.number_field("line", position.line());
  w.number_field("character", position.character());
  w.close('}');
}

void write_range(Writer& w, const ::pb::Range& range) {
  w.open('{');
  if (range.has_start()) write_position(w, "start", range.start());
  if (range.has_end()) write_position(w, "end", range.end());
  w.close('}');
}

void write_source_info(Writer& w, const ::pb::SourceInfo& info);

void write_metadata(Writer& w, const ::pb::OpMetadata& metadata) {
  w.open('{');
  w.bool_field("ignore_cache", metadata.ignore_cache());
  w.map("description", metadata.description(), &write_text);
  if (metadata.has_export_cache()) {
    w.key("export_cache");
    w.open('{');
    w.bool_field("Value", metadata.export_cache().value());
    w.close('}');
  }
  w.map("caps", metadata.caps(), &write_bool);
  if (metadata.has_progress_group()) {
    w.key("progress_group");
    write_progress_group(w, metadata.progress_group());
  }
  if (metadata.has_linux_resources()) {
    const auto& resources = metadata.linux_resources();
    w.key("linux_resources");
    w.open('{');
    w.number_field("memory", resources.memory());
    w.number_field("memorySwap", resources.memoryswap());
    w.number_field("cpuShares", static_cast<int64_t>(resources.cpushares()));
    w.number_field("cpuPeriod", static_cast<int64_t>(resources.cpuperiod()));
    w.number_field("cpuQuota", resources.cpuquota());
    w.text_field("cpusetCpus", resources.cpusetcpus());
    w.text_field("cpusetMems", resources.cpusetmems());
    w.close('}');
  }
  w.close('}');
}

void write_location(Writer& w, const ::pb::Location& location) {
  w.open('{');
  w.number_field("sourceIndex", location.sourceindex());
  w.list("ranges", location.ranges(), &write_range);
  w.close('}');
}

void write_locations(Writer& w, const ::pb::Locations& locations) {
  w.open('{');
  w.list("locations", locations.locations(), &write_location);
  w.close('}');
}

void write_definition(Writer& w, const ::pb::Definition& definition) {
  w.open('{');
  w.list("def", definition.def(), &write_bytes);
  w.map("metadata", definition.metadata(), &write_metadata);
  if (definition.has_source()) {
    w.key("Source");
    w.open('{');
    w.map("locations", definition.source().locations(), &write_locations);
    w.list("infos", definition.source().infos(), &write_source_info);
    w.close('}');
  }
  w.close('}');
}

void write_source_info(Writer& w, const ::pb::SourceInfo& info) {
  w.open('{');
  w.text_field("filename", info.filename());
  w.bytes_field("data", info.data());
  if (info.has_definition()) {
    w.key("definition");
    write_definition(w, info.definition());
  }
  w.text_field("language", info.language());
  w.close('}');
}

void write_warning(Writer& w, const control::VertexWarning& warning) {
  w.open('{');
  w.text_field("vertex", warning.vertex());
  w.number_field("level", warning.level());
  w.bytes_field("short", warning.short_());
  w.list("detail", warning.detail(), &write_bytes);
  w.text_field("url", warning.url());
  if (warning.has_info()) {
    w.key("sourceInfo");
    write_source_info(w, warning.info());
  }
  w.list("range", warning.ranges(), &write_range);
  w.close('}');
}

}  // namespace

std::string rawjson(const control::StatusResponse& status) {
  std::string out;
  Writer w(out);
  w.open('{');
  w.list("vertexes", status.vertexes(), &write_vertex);
  w.list("statuses", status.statuses(), &write_status);
  w.list("logs", status.logs(), &write_log);
  w.list("warnings", status.warnings(), &write_warning);
  w.close('}');
  return out;
}

}  // namespace depot::progress
