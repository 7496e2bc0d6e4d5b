#include "solve/result.h"

#include <openssl/evp.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "solve/go_json.h"
#include "solve/json_text.h"

namespace depot::solve {
namespace {

using Json = nlohmann::ordered_json;  // an embedded object keeps the order the builder gave it

constexpr size_t kMaxDepth = 64;

}  // namespace

bool base64_decode(const std::string& text, std::string& out) {
  if (text.empty() || text.size() % 4 != 0) return false;
  out.resize(text.size() / 4 * 3);
  int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                             reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()));
  if (size < 0) return false;
  // EVP_DecodeBlock counts the padding as data.
  size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  out.resize(static_cast<size_t>(size) - padding);
  return true;
}

bool shallow(const std::string& text) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return false;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return true;
}

const std::string& value_of(const Response& response, const std::string& key) {
  static const std::string* const kEmpty = new std::string;
  auto it = response.find(key);
  return it == response.end() ? *kEmpty : it->second;
}

std::string descriptor_of(const Response& response) {
  std::string json;
  if (!base64_decode(value_of(response, "containerimage.descriptor"), json)) return "";
  return json;
}

std::string metadata_json(const Response& response) {
  Json all = Json::object();
  for (const auto& [key, value] : response) {
    std::string decoded;
    // A call's answer is JSON as it is.
    bool is_json = key == "result.json";
    if (is_json) decoded = value;
    if ((is_json || base64_decode(value, decoded)) && shallow(decoded)) {
      Json object = Json::parse(decoded, nullptr, /*allow_exceptions=*/false);
      bool kept = object.is_object() || (is_json && object.is_array());
      if (kept && !object.empty()) {  // an empty one stays as it came: so do Go's
        all[key] = std::move(object);
        continue;
      }
    }
    all[key] = value;
  }
  return escape_html(all.dump(2, ' ', false, Json::error_handler_t::replace));
}

std::vector<SentFile> sent_files(const std::vector<session::SyncTotals>& synced) {
  std::map<std::pair<std::string, std::string>, filesync::SentFile> files;
  for (const auto& one : synced) {
    for (const auto& file : one.sent) {
      auto& merged = files[{one.dir_name, file.path}];
      bool before = merged.transferred;
      merged = file;
      merged.transferred |= before;
    }
  }
  std::vector<SentFile> out;
  out.reserve(files.size());
  for (auto& [where, file] : files) out.push_back({where.first, std::move(file)});
  return out;
}

}  // namespace depot::solve
