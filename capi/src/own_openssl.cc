// The self-contained library has an OpenSSL of its own, and nobody but us in it.
#include <openssl/crypto.h>

namespace {

// It is not taken apart when the process ends: that takes time, and a build may be under way on
// another thread, which then has nothing to stand on. Before anything else of OpenSSL runs.
[[gnu::constructor]] void keep_openssl() {
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
}

}  // namespace
