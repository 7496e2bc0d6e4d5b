// libcurl, loaded when one of its functions is first called.
//
// Debian's libcurl brings some thirty libraries along (GnuTLS, Kerberos, LDAP, SSH): 6 to 7 ms and
// 4 MiB at the start of every program that links it, which a build on a BuildKit address never
// needs. So nothing links it: the functions that this module calls are defined here, under curl's
// own names, and pass on to the loaded library. Hidden by the symbol map, they meet no other curl.
//
// The self-contained library has curl inside and is built without this file (DEPOT_LAZY_CURL=OFF).
#include <curl/curl.h>
#include <dlfcn.h>

#include <cstdarg>
#include <type_traits>

// Headers make some of them macros that check types.
#undef curl_easy_getinfo
#undef curl_easy_setopt

namespace {

// The ABI behind this name has been the same since 2006; curl keeps it so.
constexpr const char* kName = "libcurl.so.4";

void* library() {
  static void* const loaded = dlopen(kName, RTLD_LAZY | RTLD_LOCAL);
  return loaded;
}

template <class Function>
Function* find(const char* name) {
  return library() ? reinterpret_cast<Function*>(dlsym(library(), name)) : nullptr;
}

// curl_url_get() takes a const handle from curl 8 on.
template <class Result, class First, class... Rest>
First first_parameter(Result (*)(First, Rest...));
using UrlToRead = decltype(first_parameter(&curl_url_get));

}  // namespace

// Without the library `otherwise` is returned: curl_global_init() and curl_url() fail then, and
// nothing else is reached.
#define FORWARD(result, name, parameters, arguments, otherwise)                    \
  extern "C" result name parameters {                                              \
    static auto* const real = find<std::remove_pointer_t<decltype(&name)>>(#name); \
    return real ? real arguments : otherwise;                                      \
  }
#define FORWARD_VOID(name, parameters, arguments)                                  \
  extern "C" void name parameters {                                                \
    static auto* const real = find<std::remove_pointer_t<decltype(&name)>>(#name); \
    if (real) real arguments;                                                      \
  }

FORWARD(CURLcode, curl_global_init, (long flags), (flags), CURLE_FAILED_INIT)
FORWARD(curl_version_info_data*, curl_version_info, (CURLversion age), (age), nullptr)
FORWARD(time_t, curl_getdate, (const char* text, const time_t* now), (text, now), -1)
FORWARD_VOID(curl_free, (void* memory), (memory))
FORWARD(curl_slist*, curl_slist_append, (curl_slist * list, const char* text), (list, text),
        nullptr)
FORWARD_VOID(curl_slist_free_all, (curl_slist * list), (list))

FORWARD(CURLU*, curl_url, (), (), nullptr)
FORWARD_VOID(curl_url_cleanup, (CURLU * url), (url))
FORWARD(CURLUcode, curl_url_get, (UrlToRead url, CURLUPart what, char** part, unsigned flags),
        (url, what, part, flags), CURLUE_OUT_OF_MEMORY)
FORWARD(CURLUcode, curl_url_set, (CURLU * url, CURLUPart what, const char* part, unsigned flags),
        (url, what, part, flags), CURLUE_OUT_OF_MEMORY)
FORWARD(const char*, curl_url_strerror, (CURLUcode code), (code), kName)

FORWARD(CURL*, curl_easy_init, (), (), nullptr)
FORWARD_VOID(curl_easy_cleanup, (CURL * easy), (easy))
FORWARD(const char*, curl_easy_strerror, (CURLcode code), (code), kName)

FORWARD(CURLM*, curl_multi_init, (), (), nullptr)
FORWARD(CURLMcode, curl_multi_cleanup, (CURLM * multi), (multi), CURLM_BAD_HANDLE)
FORWARD(CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL* easy), (multi, easy),
        CURLM_BAD_HANDLE)
FORWARD(CURLMcode, curl_multi_remove_handle, (CURLM * multi, CURL* easy), (multi, easy),
        CURLM_BAD_HANDLE)
FORWARD(CURLMcode, curl_multi_perform, (CURLM * multi, int* running), (multi, running),
        CURLM_BAD_HANDLE)
FORWARD(CURLMcode, curl_multi_poll,
        (CURLM * multi, curl_waitfd more[], unsigned count, int timeout_ms, int* ready),
        (multi, more, count, timeout_ms, ready), CURLM_BAD_HANDLE)
FORWARD(CURLMcode, curl_multi_wakeup, (CURLM * multi), (multi), CURLM_BAD_HANDLE)
FORWARD(CURLMsg*, curl_multi_info_read, (CURLM * multi, int* left), (multi, left), nullptr)
FORWARD(const char*, curl_multi_strerror, (CURLMcode code), (code), kName)

// Their one further argument is a pointer, a long or a curl_off_t by the option: one machine word
// in each case, on every platform with 64-bit longs, and passed on as such.
static_assert(sizeof(long) == sizeof(void*) && sizeof(curl_off_t) == sizeof(void*));

extern "C" CURLcode curl_easy_setopt(CURL* easy, CURLoption option, ...) {
  static auto* const real = find<decltype(curl_easy_setopt)>("curl_easy_setopt");
  va_list arguments;
  va_start(arguments, option);
  void* word = va_arg(arguments, void*);
  va_end(arguments);
  return real ? real(easy, option, word) : CURLE_FAILED_INIT;
}

extern "C" CURLcode curl_easy_getinfo(CURL* easy, CURLINFO what, ...) {
  static auto* const real = find<decltype(curl_easy_getinfo)>("curl_easy_getinfo");
  va_list arguments;
  va_start(arguments, what);
  void* out = va_arg(arguments, void*);
  va_end(arguments);
  return real ? real(easy, what, out) : CURLE_FAILED_INIT;
}
