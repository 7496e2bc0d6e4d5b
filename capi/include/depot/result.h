/* What a solve gave. Immutable; strings are borrowed from it and never NULL.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_RESULT_H
#define DEPOT_RESULT_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

/** NULL is allowed. @since 0.1 */
DEPOT_API void depot_result_free(depot_result *result);
/** Digest of the image or index, "sha256:<hex>"; "" when no image was exported. @since 0.1 */
DEPOT_API const char *depot_result_digest(const depot_result *result);
/** Digest of the image config; "" for an index or no image. @since 0.1 */
DEPOT_API const char *depot_result_config_digest(const depot_result *result);
/** OCI descriptor of the image or index as JSON; "" when there is none. @since 0.1 */
DEPOT_API const char *depot_result_descriptor(const depot_result *result);
/** Names the image was given, comma-separated; "" when none. @since 0.1 */
DEPOT_API const char *depot_result_image_name(const depot_result *result);
/** BuildKit's ref of the solve. @since 0.1 */
DEPOT_API const char *depot_result_ref(const depot_result *result);
/** Build id and page of the build as the API gave them; "" without. @since 0.1 */
DEPOT_API const char *depot_result_build_id(const depot_result *result);
DEPOT_API const char *depot_result_build_url(const depot_result *result);
/** One value of the exporter response, "" when absent. @since 0.1 */
DEPOT_API const char *depot_result_get(const depot_result *result, const char *key);
/** All of the exporter response, keys sorted. An index out of range answers "". @since 0.1 */
DEPOT_API size_t depot_result_count(const depot_result *result);
DEPOT_API const char *depot_result_key(const depot_result *result, size_t index);
DEPOT_API const char *depot_result_value(const depot_result *result, size_t index);
/** What `--metadata-file` of docker buildx writes: JSON, sorted keys, two spaces. @since 0.1 */
DEPOT_API const char *depot_result_metadata_json(const depot_result *result);

/** The files that local directories sent, when depot_solve_request_set_record_context asked for
 *  them: the directory's name ("context", "dockerfile", ...), the path in it, the size, and whether
 *  its content was transferred (1) or the builder had it already (0). By name and path; of a
 *  transfer the first million entries. An index out of range answers "" and 0. @since 0.1 */
DEPOT_API size_t depot_result_sent_count(const depot_result *result);
DEPOT_API const char *depot_result_sent_local(const depot_result *result, size_t index);
DEPOT_API const char *depot_result_sent_path(const depot_result *result, size_t index);
DEPOT_API uint64_t depot_result_sent_size(const depot_result *result, size_t index);
DEPOT_API int32_t depot_result_sent_transferred(const depot_result *result, size_t index);

/** What the build said of its making, when depot_solve_request_set_record_provenance asked for it.
 *  depot_history_blob_read reads the blob, as long as the builder remembers the build. */
typedef struct depot_attestation {
  size_t size;          /* set by the caller; fields beyond it are not written */
  const char *type;     /* of the predicate, "https://slsa.dev/provenance/v1" */
  const char *platform; /* "" when the build has one for all */
  const char *digest;   /* of its blob in the builder */
  int64_t bytes;
} depot_attestation;

DEPOT_API size_t depot_result_attestation_count(const depot_result *result);
/** Writes to `out`, whose size field must be set; returns 1, or 0 when the index is out of range or
 *  the size is unknown. @since 0.1 */
DEPOT_API int32_t depot_result_attestation(const depot_result *result, size_t index,
                                           depot_attestation *out);

/** How long the parts of a build took, in nanoseconds, and how much was moved. 0: there was no such
 *  part. Times of what the builder does are by its clock and from the first beginning to the last
 *  end of a kind, as far as its status tells them. */
typedef struct depot_stats {
  size_t size;          /* set by the caller; fields beyond it are not written */
  int64_t acquire_ns;   /* of a machine, registering the build included; of depot_client_build */
  int64_t connect_ns;   /* to the builder; next to nothing when the connection stood */
  int64_t solve_ns;     /* from the request until all had ended; the following are parts of it */
  int64_t context_ns;   /* loading of local contexts */
  int64_t export_ns;    /* exporting, pushing included */
  int64_t push_ns;      /* pushing of layers and manifests */
  int32_t steps;        /* as the builder's history counts them */
  int32_t cached_steps; /* that needed no work */
  int32_t completed_steps;
  int32_t reserved;
  uint64_t context_entries; /* that local directories listed, each transfer by itself */
  uint64_t context_files;   /* whose content the builder asked for */
  uint64_t context_bytes;   /* of that content */
  uint64_t sent_bytes;      /* with the lists, as they went into the session */
  uint64_t export_bytes;    /* that exports brought to this computer */
} depot_stats;

/** Writes to `out`, whose size field must be set; returns 1, or 0 when the size is unknown.
 *  @thread any
 *  @since 0.1 */
DEPOT_API int32_t depot_result_stats(const depot_result *result, depot_stats *out);

DEPOT_END_DECLS

#endif
