#include "load/archive.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace depot::load {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using nlohmann::json;

constexpr size_t kBlock = 512;
// More than any store takes.
constexpr size_t kMostLayers = 1000;

Status no_image(const char* what) {
  return Status(Code::kDataLoss, Hop::kSolve, std::string("the builder sent no image: ") + what);
}

// A digest becomes a file's name.
bool is_digest(const json& value) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  return text.starts_with("sha256:") && text.size() == 71 &&
         text.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
}

std::string hex_of(const std::string& digest) {
  return digest.substr(digest.find(':') + 1);
}

void put(std::string& block, size_t at, size_t width, uint64_t value) {
  // Octal with its NUL; larger ones in base 256, as GNU's tar and Go's have it.
  if (value < uint64_t{1} << (3 * (width - 1))) {
    for (size_t i = width - 1; i-- > 0; value >>= 3)
      block[at + i] = static_cast<char>('0' + (value & 7));
    return;
  }
  for (size_t i = width; i-- > 0; value >>= 8) block[at + i] = static_cast<char>(value & 0xff);
  block[at] = static_cast<char>(0x80);
}

std::string header(const std::string& name, uint64_t size) {
  std::string block(kBlock, '\0');
  block.replace(0, name.size(), name);
  put(block, 100, 8, 0644);
  put(block, 108, 8, 0);
  put(block, 116, 8, 0);
  put(block, 124, 12, size);
  put(block, 136, 12, 0);
  block.replace(148, 8, "        ");
  block[156] = '0';
  block.replace(257, 8, std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (char c : block) sum += static_cast<unsigned char>(c);
  put(block, 148, 7, sum);
  return block;
}

std::string padding(uint64_t size) {
  return std::string((kBlock - size % kBlock) % kBlock, '\0');
}

std::string file_of(const Layer& layer) {
  return hex_of(layer.digest) + ".tar";
}

}  // namespace

Result<std::string> config_of(const std::string& manifest) {
  auto object = json::parse(manifest, nullptr, false);
  if (!object.is_object() || !object.contains("config") || !object["config"].is_object() ||
      !object["config"].contains("digest") || !is_digest(object["config"]["digest"]))
    return no_image("its manifest has no config");
  return object["config"]["digest"].get<std::string>();
}

Result<Image> read_image(const std::string& manifest, const std::string& config) {
  Image image;
  DEPOT_ASSIGN(image.config_digest, config_of(manifest));
  image.config = config;
  auto object = json::parse(manifest, nullptr, false);
  auto described = json::parse(config, nullptr, false);
  if (!object.contains("layers") || !object["layers"].is_array() || !described.is_object() ||
      !described.contains("rootfs") || !described["rootfs"].is_object() ||
      !described["rootfs"].contains("diff_ids") || !described["rootfs"]["diff_ids"].is_array())
    return no_image("it has no layers");
  const auto& layers = object["layers"];
  const auto& ids = described["rootfs"]["diff_ids"];
  if (layers.size() != ids.size() || layers.size() > kMostLayers)
    return no_image("manifest and config have not the same layers");
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& one = layers[i];
    if (!one.is_object() || !one.contains("digest") || !is_digest(one["digest"]) ||
        !one.contains("size") || !one["size"].is_number_integer() ||
        one["size"].get<int64_t>() < 0 || !is_digest(ids[i]))
      return no_image("a layer is not described");
    image.layers.push_back(
        {one["digest"].get<std::string>(), ids[i].get<std::string>(), one["size"].get<int64_t>()});
  }
  return image;
}

std::string archive_head(const Image& image, const std::vector<std::string>& names) {
  json entry;
  entry["Config"] = hex_of(image.config_digest) + ".json";
  entry["RepoTags"] = names;
  entry["Layers"] = json::array();
  for (const auto& layer : image.layers) entry["Layers"].push_back(file_of(layer));
  std::string list = json::array({entry}).dump();
  return header(entry["Config"].get<std::string>(), image.config.size()) + image.config +
         padding(image.config.size()) + header("manifest.json", list.size()) + list +
         padding(list.size());
}

std::string layer_head(const Layer& layer) {
  return header(file_of(layer), static_cast<uint64_t>(layer.size));
}

std::string layer_tail(const Layer& layer) {
  return padding(static_cast<uint64_t>(layer.size));
}

std::string archive_tail() {
  return std::string(2 * kBlock, '\0');
}

}  // namespace depot::load
