// An image as the archive that `docker load` reads, from its manifest and config: the layers that
// the Engine has already are named in it, and left away.
//
// An Engine that keeps images in its own store opens a layer's file only when it does not have the
// layer, which it knows by all the layers up to it; so a prefix of the layers may be missing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace depot::load {

struct Layer {
  std::string digest;   // of the blob, perhaps compressed
  std::string diff_id;  // of what it unpacks to
  int64_t size = 0;     // of the blob
};

struct Image {
  std::string config_digest;
  std::string config;
  std::vector<Layer> layers;
};

// The digest of the config that `manifest` names.
base::Result<std::string> config_of(const std::string& manifest);
// kDataLoss for what is no image, or has other layers in its config than in its manifest.
base::Result<Image> read_image(const std::string& manifest, const std::string& config);

// Config and list of layers, as files of a tar.
std::string archive_head(const Image& image, const std::vector<std::string>& names);
// What stands before and behind a layer's bytes.
std::string layer_head(const Layer& layer);
std::string layer_tail(const Layer& layer);
// The end of the tar.
std::string archive_tail();

}  // namespace depot::load
