/* A client: which builder to use, and how to reach it. Everything hangs off one: two clients know
 * nothing of each other, and there is no library initialisation. (OpenSSL and libcurl are
 * initialised once for the process when first needed.) Making a client does no network I/O and
 * starts nothing. Since 0.1.0; what came later says so. */
#ifndef DEPOT_CLIENT_H
#define DEPOT_CLIENT_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

#define DEPOT_LOG_DEBUG 1
#define DEPOT_LOG_INFO 2
#define DEPOT_LOG_WARNING 3
#define DEPOT_LOG_ERROR 4

/** One log line, no newline, never a secret. On a thread of the client's own, one line at a time. A
 *  slow function delays nothing but the lines after it; beyond 1000 of them, lines are dropped, and
 * a line tells how many. */
typedef void (*depot_log_cb)(depot_log_level level, const char *line, void *user_data);

/** All strings are copied. NULL and "" both mean: the default. */
typedef struct depot_client_options {
  size_t size; /* sizeof(depot_client_options) as the caller compiled it */
  /* "auto" (default): Depot when a token is found, else $BUILDKIT_HOST, else the local builder;
   * "depot"; "local"; or an address, which $BUILDKIT_HOST may be, too:
   *   unix:///path, tcp://host:port           a buildkitd's socket
   *   docker-container://NAME[?context=CONTEXT], podman-container://NAME,
   *   nerdctl-container://NAME[?namespace=NAMESPACE],
   *   kube-pod://POD[?context=CONTEXT&namespace=NAMESPACE&container=CONTAINER],
   *   ssh://[USER@]HOST[:PORT][/SOCKET]       `buildctl dial-stdio` in there, run by docker,
   * podman, nerdctl, kubectl or ssh, from PATH docker://unix:///path, docker://tcp://host:port,
   * docker://ssh://HOST, docker://?context=CONTEXT               the BuildKit in a Docker Engine
   *   docker                                  the same, where DOCKER_HOST or docker's context say
   * Programs start when a connection is needed, without a terminal, and are killed with it. A
   * docker Engine is never taken unless it is named. */
  const char *builder;
  const char *token; /* default: DEPOT_TOKEN, stored login, OIDC of the CI (protocol of the CLI) */
  const char *project; /* default: DEPOT_PROJECT_ID, depot.json above the context */
  const char *api_url; /* default: DEPOT_API_URL, else https://api.depot.dev; http:// is h2c */
  const char *ca_file; /* PEM bundle for the API and token servers; default: the system's */
  const char *proxy;   /* for the API and token servers; default: https_proxy and friends */
  /* For a tcp:// builder. PEM files, read when connecting. All unset: plain text, which is refused
   * for an address that is not loopback unless allow_plaintext is 1. */
  const char *tls_ca_file;
  const char *tls_cert_file;
  const char *tls_key_file;
  const char *tls_server_name;
  int32_t allow_plaintext;
  int32_t use_environment; /* 0: default, read the process environment; -1: pretend it is empty */
  /* The local builder: its program, the folder with its engine (buildkitd and runc), its cache.
   * Defaults: LIBDEPOT_BUILDERD, else beside the library, then $PATH; LIBDEPOT_ENGINE_DIR, else
   * beside the library, then $PATH, then ~/.cache/libdepot/engine/current/bin; LIBDEPOT_STATE_DIR,
   * else /var/lib/libdepot for root, else $XDG_STATE_HOME/libdepot or ~/.local/state/libdepot. */
  const char *builderd_path;
  const char *engine_dir;
  const char *state_dir;
  const char *product;      /* goes at the end of the user agent: "app/1.2"; default: nothing */
  int64_t max_message_size; /* largest gRPC message accepted, bytes; 0: 128 MiB */
  depot_log_cb on_log;      /* NULL: log lines are dropped */
  void *user_data;          /* for on_log */
  depot_free_cb user_data_free;
  /* --- end of version 1: append below, never reorder --- */
  /* Several builders instead of one, for builds of several platforms: NULL-terminated, or NULL.
   * Each is an address as above and the platforms that it is to build,
   * "tcp://host:port,platform=linux/ arm64,linux/arm/v7"; without platforms, what its workers tell.
   * See depot_client_build(). The TLS options are those of all. */
  const char *const *nodes;
} depot_client_options;

/* One value a line otherwise. */
/* clang-format off */
#define DEPOT_CLIENT_OPTIONS_INIT                                                                \
  {sizeof(depot_client_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, \
   0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL}
/* clang-format on */

/** Zeroes `size` bytes of `options` and sets its size field. @since 0.1 */
DEPOT_API void depot_client_options_init(depot_client_options *options, size_t size);

/** Make a client.
 *
 *  @param      options  copied; NULL: all defaults
 *  @param[out] out      owned, depot_client_free(); NULL on failure
 *  @param[out] error    see error.h
 *  @return DEPOT_OK; DEPOT_INVALID_ARGUMENT for a malformed address or an unknown struct size
 *  @thread any; a client may be shared: `const depot_client *` by many threads at once
 *  @since 0.1
 */
DEPOT_API depot_code depot_client_new(const depot_client_options *options, depot_client **out,
                                      depot_error **error);
/** NULL is allowed. Builds and machines made from it keep what they need, but log no more: on_log
 * is not called once this returns (a call under way is waited for, unless this is called from
 * on_log), and its user_data is freed. @since 0.1 */
DEPOT_API void depot_client_free(depot_client *client);

/** Which builder the client's options and environment lead to: "local", "depot" or an address;
 *  several addresses after commas. Borrowed from the client. @since 0.1 */
DEPOT_API const char *depot_client_builder(const depot_client *client);

DEPOT_END_DECLS

#endif
