# depot_openssl: what modules link for TLS and keys.
#
# Who has the property DEPOT_OWN_OPENSSL, libdepot.so, gets it from the system's archives where there are
# any that a shared library can take (Debian's and Ubuntu's libssl-dev brings them): the dynamic linker
# binds 3700 symbols within the shared ones at each start, a sixth of what a small build costs, and the
# OpenSSL of the program that loads libdepot, its settings, its engines and its end at exit, is not ours
# then. Programs and tests link the shared ones, as does libdepot.so with DEPOT_OPENSSL=shared (for who
# updates OpenSSL without building libdepot again) and with sanitizers.
include_guard(GLOBAL)
include(CheckCXXSourceCompiles)
find_package(OpenSSL 3 REQUIRED)
set(DEPOT_OPENSSL archive CACHE STRING "libdepot.so's OpenSSL: archive, where the system has one, or shared")

add_library(depot_openssl INTERFACE)
set(shared ${OPENSSL_SSL_LIBRARY} ${OPENSSL_CRYPTO_LIBRARY})
set(own ${shared})
if(DEPOT_STATIC)
  set_target_properties(depot_openssl PROPERTIES DEPOT_OWNED ON)
elseif(DEPOT_OPENSSL STREQUAL archive AND NOT DEPOT_SANITIZE)
  list(TRANSFORM shared REPLACE "[.]so$" ".a" OUTPUT_VARIABLE archives)
  list(APPEND archives ${CMAKE_DL_LIBS})
  set(CMAKE_REQUIRED_INCLUDES ${OPENSSL_INCLUDE_DIR})
  set(CMAKE_REQUIRED_FLAGS -fPIC)
  set(CMAKE_REQUIRED_LINK_OPTIONS -shared -pthread -Wl,-z,text -Wl,-z,defs -Wl,--exclude-libs,ALL)
  set(CMAKE_REQUIRED_LIBRARIES ${archives})
  check_cxx_source_compiles("#include <openssl/ssl.h>
    void* context() { return SSL_CTX_new(TLS_client_method()); }" DEPOT_OPENSSL_ARCHIVE_WORKS)
  if(DEPOT_OPENSSL_ARCHIVE_WORKS)
    set(own ${archives})
    set_target_properties(depot_openssl PROPERTIES DEPOT_OWNED ON)
  endif()
endif()
target_include_directories(depot_openssl SYSTEM INTERFACE ${OPENSSL_INCLUDE_DIR})
target_link_libraries(depot_openssl INTERFACE
  "$<IF:$<BOOL:$<TARGET_PROPERTY:DEPOT_OWN_OPENSSL>>,${own},${shared}>")
