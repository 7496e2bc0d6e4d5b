/* One status batch: BuildKit's StatusResponse, four lists. Borrowed: it and every string in it live
 * until the callback returns. Each batch is a delta; a vertex is known by its digest, and a later
 * entry with the same digest replaces the earlier. Times are nanoseconds since 1970 by the
 * builder's clock, 0: not there.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_STATUS_H
#define DEPOT_STATUS_H

#include "depot/base.h"
#include "depot/error.h"

DEPOT_BEGIN_DECLS

typedef struct depot_vertex {
  size_t size; /* set by the caller to sizeof(depot_vertex); fields beyond it are not written */
  const char *digest;
  const char *name;
  const char *error; /* "" while it has not failed; ends with "context canceled" when cancelled */
  int64_t started;
  int64_t completed;
  int32_t cached;
  int32_t reserved;
  size_t input_count;
  const char *const *inputs;     /* digests */
  const char *progress_group_id; /* "" when in none */
  const char *progress_group_name;
} depot_vertex;

typedef struct depot_vertex_status {
  size_t size;
  const char *id;
  const char *vertex; /* digest */
  const char *name;
  int64_t current; /* bytes or items done */
  int64_t total;   /* 0: not known */
  int64_t timestamp;
  int64_t started;
  int64_t completed;
} depot_vertex_status;

typedef struct depot_vertex_log {
  size_t size;
  const char *vertex;  /* digest */
  const uint8_t *data; /* raw bytes, cut anywhere */
  size_t data_size;
  int64_t timestamp;
  int32_t stream; /* 1 stdout, 2 stderr */
  int32_t reserved;
} depot_vertex_log;

typedef struct depot_vertex_warning {
  size_t size;
  const char *vertex;  /* digest */
  const char *message; /* one line */
  const char *url;
  const char *source_file; /* "" when it points nowhere */
  size_t detail_count;
  const char *const *details;
  size_t range_count;
  const depot_range *ranges;
  int32_t level;
  int32_t reserved;
  const char *excerpt; /* the lines that it points at, as docker buildx shows them; "" */
} depot_vertex_warning;

/* A registry's password, or what stands for it, is about to be given to somebody. */
typedef struct depot_credential_use {
  size_t size;
  const char *host;     /* the registry */
  const char *receiver; /* its token server, "host[:port]"; "": the builder */
} depot_credential_use;

DEPOT_API size_t depot_status_vertex_count(const depot_status *status);
DEPOT_API size_t depot_status_status_count(const depot_status *status);
DEPOT_API size_t depot_status_log_count(const depot_status *status);
DEPOT_API size_t depot_status_warning_count(const depot_status *status);
DEPOT_API size_t depot_status_credential_use_count(const depot_status *status);

/* Each writes to `out`, whose size field must be set, and returns 1; 0 when the index is out of
 * range or the size is unknown. @since 0.1 */
DEPOT_API int32_t depot_status_vertex(const depot_status *status, size_t index, depot_vertex *out);
DEPOT_API int32_t depot_status_status(const depot_status *status, size_t index,
                                      depot_vertex_status *out);
DEPOT_API int32_t depot_status_log(const depot_status *status, size_t index, depot_vertex_log *out);
DEPOT_API int32_t depot_status_warning(const depot_status *status, size_t index,
                                       depot_vertex_warning *out);
/** Comes with a vertex "[auth] ..." for people; this one is the library's own word, where the name
 * of a vertex may be anybody's. */
DEPOT_API int32_t depot_status_credential_use(const depot_status *status, size_t index,
                                              depot_credential_use *out);

/** The batch as one line of JSON, no newline: byte for byte what `buildctl --progress=rawjson`
 *  prints. Rendered on the first call. @since 0.1 */
DEPOT_API const char *depot_status_json(const depot_status *status);
/** The batch as moby.buildkit.v1.StatusResponse in protobuf encoding, as it came. @since 0.1 */
DEPOT_API const uint8_t *depot_status_bytes(const depot_status *status, size_t *size);

DEPOT_END_DECLS

#endif
