// Keys made by ssh-keygen, and what OpenSSL says of signatures.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/id.h"
#include "base/secret.h"
#include "ssh/wire.h"

namespace depot::ssh {

class TempKeys : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() / ("depot-ssh-" + base::random_id());
    std::filesystem::create_directory(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string path(const std::string& name) const { return (dir_ / name).string(); }
  static std::string text_of(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
  }
  static void run(const std::string& command) {
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  // The private key's text; beside it NAME.pub.
  std::string make(const std::string& name, const std::string& options,
                   const std::string& passphrase = "") {
    run("ssh-keygen -q -C 'of " + name + "' -N '" + passphrase + "' " + options + " -f " +
        path(name));
    return text_of(path(name));
  }

  std::filesystem::path dir_;
};

// Whether `blob`'s key made this signature, as SSH has both, by OpenSSL's own reading of the key.
inline bool verifies(const std::string& pem, const std::string& hash, const std::string& data,
                     const std::string& signature) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PUBKEY(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  if (key == nullptr) return false;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  bool good =
      EVP_DigestVerifyInit_ex(context, nullptr, hash.empty() ? nullptr : hash.c_str(), nullptr,
                              nullptr, key, nullptr) == 1 &&
      EVP_DigestVerify(context, reinterpret_cast<const unsigned char*>(signature.data()),
                       signature.size(), reinterpret_cast<const unsigned char*>(data.data()),
                       data.size()) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  return good;
}

}  // namespace depot::ssh
