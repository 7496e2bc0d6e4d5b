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

DEPOT_END_DECLS

#endif
