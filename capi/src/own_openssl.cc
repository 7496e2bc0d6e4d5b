// Linked in where the library has an OpenSSL of its own (packaging/cmake/OpenSSL.cmake): nobody but
// us is in it.
#include <openssl/crypto.h>

namespace {

// The system's openssl.cnf is written for the system's OpenSSL, which may be another version with
// other providers; nothing of it is for us. It is not taken apart when the process ends: that takes
// time, and a build may be under way on another thread, which then has nothing to stand on. Before
// anything else of OpenSSL runs.
[[gnu::constructor]] void keep_openssl() {
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
}

}  // namespace
