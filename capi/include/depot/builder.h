/* The builder's books: its workers, its version, what its cache holds, and removing of that. What
 * `buildctl debug workers`, `buildctl debug info`, `docker buildx du` and `docker buildx prune`
 * show and do, of the BuildKit behind a machine.
 *
 * All are asked of a machine, which is connected first when that was not done; several at once,
 * and beside solves. With an address nothing is registered anywhere:
 *   depot_client_new, depot_build_new, depot_machine_acquire, then any of these.
 * Strings are borrowed from the list that they came with and never NULL.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_BUILDER_H
#define DEPOT_BUILDER_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

typedef struct depot_workers depot_workers;           /* those of one builder          */
typedef struct depot_builder_info depot_builder_info; /* which BuildKit it is          */
typedef struct depot_disk_usage depot_disk_usage;     /* the records of a cache        */

/** How long a question may take, connecting included. */
typedef struct depot_ask_options {
  size_t size;
  depot_cancel *cancel; /* NULL: cannot be cancelled */
  int64_t timeout_ms;   /* 0: ten minutes, and the patience of depot_machine_connect before */
  /* --- end of version 1: append below, never reorder --- */
} depot_ask_options;

#define DEPOT_ASK_OPTIONS_INIT {sizeof(depot_ask_options), NULL, 0}

DEPOT_API void depot_ask_options_init(depot_ask_options *options, size_t size);

/* Each entry function writes to `out`, whose size field must be set, and returns 1; 0 when the
 * index is out of range or the size is unknown. */

/** What does the work in a builder. */
typedef struct depot_worker {
  size_t size; /* set by the caller; fields beyond it are not written */
  const char *id;
  size_t platform_count;
  const char *const *platforms; /* "linux/amd64", "linux/arm/v7"; the native one first */
  size_t label_count;
  const char *const *label_keys;
  const char *const *label_values;
  const char *buildkit_version; /* "v0.34.2"; "" before 0.11 */
  const char *buildkit_package;
  const char *buildkit_revision;
  const char *dockerfile_version; /* of the built-in frontend; "" before 0.30 */
  size_t gc_policy_count;         /* depot_workers_gc_policy */
  size_t device_count;            /* depot_workers_device */
} depot_worker;

/** A rule by which a worker cleans its cache by itself. 0: no such limit. */
typedef struct depot_gc_policy {
  size_t size;
  size_t filter_count;
  const char *const *filters;
  int64_t keep_duration_ms; /* keeps what was used within that time */
  int64_t reserved_space;   /* bytes */
  int64_t max_used_space;
  int64_t min_free_space;
  int32_t all; /* 1: internal records and those of frontends, too */
  int32_t reserved;
} depot_gc_policy;

/** A device (CDI) that a step may ask for; since BuildKit 0.20. */
typedef struct depot_device {
  size_t size;
  const char *name;
  int32_t auto_allow;
  int32_t on_demand;
} depot_device;

/** List the workers.
 *
 *  @param      filters  containerd's syntax, NULL-terminated; NULL: all workers
 *  @param      options  copied; NULL: all defaults
 *  @param[out] out      owned, depot_workers_free(); NULL on failure
 *  @return DEPOT_OK; what depot_machine_connect returns; DEPOT_CANCELLED;
 *          DEPOT_DEADLINE_EXCEEDED; DEPOT_UNAVAILABLE when the builder went away
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_workers_new(depot_machine *machine, const char *const *filters,
                                       const depot_ask_options *options, depot_workers **out,
                                       depot_error **error);
DEPOT_API size_t depot_workers_count(const depot_workers *workers);
DEPOT_API int32_t depot_workers_get(const depot_workers *workers, size_t index, depot_worker *out);
DEPOT_API int32_t depot_workers_gc_policy(const depot_workers *workers, size_t worker, size_t index,
                                          depot_gc_policy *out);
DEPOT_API int32_t depot_workers_device(const depot_workers *workers, size_t worker, size_t index,
                                       depot_device *out);
/** NULL is allowed. @since 0.1 */
DEPOT_API void depot_workers_free(depot_workers *workers);

/** Which BuildKit it is.
 *
 *  @param[out] out  owned, depot_builder_info_free(); NULL on failure
 *  @return as depot_workers_new(); DEPOT_FAILED_PRECONDITION from a BuildKit before 0.11
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_builder_info_new(depot_machine *machine,
                                            const depot_ask_options *options,
                                            depot_builder_info **out, depot_error **error);
/** "v0.34.2". @since 0.1 */
DEPOT_API const char *depot_builder_info_version(const depot_builder_info *info);
DEPOT_API const char *depot_builder_info_package(const depot_builder_info *info);
DEPOT_API const char *depot_builder_info_revision(const depot_builder_info *info);
/** Of the built-in frontend; "" before 0.30. @since 0.1 */
DEPOT_API const char *depot_builder_info_dockerfile_version(const depot_builder_info *info);
DEPOT_API void depot_builder_info_free(depot_builder_info *info);

/** One record of a builder's cache. */
typedef struct depot_usage_record {
  size_t size;
  const char *id;
  const char *type;        /* "regular", "source.local", "exec.cachemount", "frontend", ... */
  const char *description; /* what made it */
  size_t parent_count;
  const char *const *parents; /* ids */
  int64_t bytes;
  int64_t created;   /* nanoseconds since 1970 by the builder's clock */
  int64_t last_used; /* 0: never */
  int64_t usage_count;
  int32_t in_use; /* 1: cannot be removed now */
  int32_t is_mutable;
  int32_t is_shared;
  int32_t reserved;
} depot_usage_record;

/** List what the cache holds, sorted by size, then id.
 *
 *  @param      filters  NULL-terminated; NULL: all. Several are "or", commas in one "and".
 *                       BuildKit's: "type==regular", "inuse", "private", "description~=RE"; or
 *                       docker's: "type=regular", "shared=true"; "until=24h", of BuildKit 0.22 on:
 *                       not used since then
 *  @param[out] out      owned, depot_disk_usage_free(); NULL on failure
 *  @return as depot_workers_new(); DEPOT_INVALID_ARGUMENT for a filter that cannot be right;
 *          DEPOT_FAILED_PRECONDITION when the builder is too old; DEPOT_RESOURCE_EXHAUSTED for
 *          more than a million records
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_disk_usage_new(depot_machine *machine, const char *const *filters,
                                          const depot_ask_options *options, depot_disk_usage **out,
                                          depot_error **error);
DEPOT_API size_t depot_disk_usage_count(const depot_disk_usage *usage);
DEPOT_API int32_t depot_disk_usage_get(const depot_disk_usage *usage, size_t index,
                                       depot_usage_record *out);
/** Bytes of all records; of those that are not in use; of those that others share. @since 0.1 */
DEPOT_API int64_t depot_disk_usage_total(const depot_disk_usage *usage);
DEPOT_API int64_t depot_disk_usage_reclaimable(const depot_disk_usage *usage);
DEPOT_API int64_t depot_disk_usage_shared(const depot_disk_usage *usage);
/** NULL is allowed. @since 0.1 */
DEPOT_API void depot_disk_usage_free(depot_disk_usage *usage);

/** A record that was removed; borrowed, for the time of the call. Return 0 to go on; anything else
 *  ends the prune and comes back by depot_error_user_code(): what was removed stays so. Called on
 *  the thread that called depot_prune(); a slow one holds the builder back. */
typedef int32_t (*depot_prune_cb)(const depot_usage_record *record, void *user_data);

typedef struct depot_prune_options {
  size_t size;
  const char *const *filters; /* as depot_disk_usage_new(); "until=24h" keeps what was used since */
  int64_t reserved_space;     /* bytes always allowed to keep; 0: none */
  int64_t max_used_space;     /* bytes kept at most; 0: not asked for; since BuildKit 0.17 */
  int64_t min_free_space;     /* bytes of the disk to be free afterwards; since BuildKit 0.17 */
  int32_t all;                /* 1: internal records and those of frontends, too */
  int32_t reserved;
  depot_prune_cb on_record; /* NULL: nobody hears of them */
  void *user_data;          /* for on_record */
  depot_free_cb user_data_free;
  depot_cancel *cancel; /* NULL: cannot be cancelled */
  int64_t timeout_ms;   /* 0: one hour, and the patience of depot_machine_connect before */
  /* --- end of version 1: append below, never reorder --- */
} depot_prune_options;

/* clang-format off */
#define DEPOT_PRUNE_OPTIONS_INIT \
  {sizeof(depot_prune_options), NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 0}
/* clang-format on */

DEPOT_API void depot_prune_options_init(depot_prune_options *options, size_t size);

/** Remove what is not in use from the builder's cache.
 *
 *  @param      options  copied; NULL is refused: what goes is to be said, if only by
 *                       DEPOT_PRUNE_OPTIONS_INIT. user_data is let go of before it returns.
 *  @param[out] bytes    what was freed; NULL to ignore
 *  @return as depot_disk_usage_new(); DEPOT_CANCELLED with hop DEPOT_HOP_CALLBACK when the
 *          callback ended it
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_prune(depot_machine *machine, const depot_prune_options *options,
                                 int64_t *bytes, depot_error **error);

/** "10gb", "512MiB", "1024": bytes, units being powers of 1024, as `docker buildx prune` reads
 *  them. "24h", "1h30m": milliseconds. DEPOT_INVALID_ARGUMENT otherwise. Any thread, quick.
 *  @since 0.1 */
DEPOT_API depot_code depot_parse_size(const char *text, int64_t *out, depot_error **error);
DEPOT_API depot_code depot_parse_duration(const char *text, int64_t *out_ms, depot_error **error);

DEPOT_END_DECLS

#endif
