/* Where the files of a build come from, besides a directory: a Dockerfile and ignore rules that are
 * text, files that are bytes or functions, a stream.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_CONTEXT_H
#define DEPOT_CONTEXT_H

#include "depot/base.h"
#include "depot/solve.h"

DEPOT_BEGIN_DECLS

/** The Dockerfile as text; no file is read or written for it. With no context set, the context is
 *  an empty one. `text` may be NULL when `size` is 0. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_dockerfile_text(depot_solve_request *request,
                                                             const char *text, size_t size,
                                                             depot_error **error);
/** What stands in .dockerignore, as text; counts instead of any file of that name, also of a
 *  Dockerfile's own. For local contexts alone: depot_solve() refuses it with a remote one or a
 *  stream. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_ignore_text(depot_solve_request *request,
                                                         const char *text, size_t size,
                                                         depot_error **error);

/** A file of a local directory as bytes. Where depot_solve_request_set_context or
 *  depot_solve_request_add_local gave that directory the file lies over it, and hides what the
 *  directory has at its path; else the files given make all of it. Its time is 1980-01-01 and a
 *  fraction of a second that its bytes make, so that what did not change is not sent again.
 *
 *  @param name  of the local directory; NULL: "context", the build context
 *  @param path  relative; "..", a leading slash, or a path below another file given are refused
 *  @param data  copied; may be NULL when `size` is 0
 *  @param mode  permissions, e.g. 0755; 0: 0644
 *  @since 0.1
 */
DEPOT_API depot_code depot_solve_request_add_file(depot_solve_request *request, const char *name,
                                                  const char *path, const void *data, size_t size,
                                                  uint32_t mode, depot_error **error);

/** Content on demand. Write up to `size` bytes of it to `buffer`, beginning with byte `offset`, and
 *  return how many; 0: there are no more. Less than `size` is fine. Below 0 stops the solve, and
 *  comes back by depot_error_user_code(). Called on threads of the library's while depot_solve()
 *  runs; may block, which delays that file alone, but also a cancel. */
typedef int64_t (*depot_read_cb)(uint64_t offset, uint8_t *buffer, size_t size, void *user_data);
/** A file of a local directory by a function. It is taken as changed in each solve.
 *
 *  @param read            several transfers may read at the same time, each from 0 on
 *  @param size            what `read` gives in all, if it is known: then less or more is an error
 *                         (DEPOT_DATA_LOSS); -1: not known
 *  @param user_data_free  may be NULL. On failure the caller keeps user_data
 *  @since 0.1
 */
DEPOT_API depot_code depot_solve_request_add_file_callback(depot_solve_request *request,
                                                           const char *name, const char *path,
                                                           depot_read_cb read, void *user_data,
                                                           depot_free_cb user_data_free,
                                                           int64_t size, uint32_t mode,
                                                           depot_error **error);

/** The context as a stream: a tar, plain or compressed by gzip, bzip2, xz or zstd, or the text of a
 *  Dockerfile, told apart by the first bytes as `docker buildx build -` does. It is read once, and
 *  good for one solve.
 *
 *  @param read        `offset` is how much it has given so far; first called on the thread that
 *                     calls depot_solve()
 *  @param dockerfile  in the archive; an absolute path is a local file; NULL: "Dockerfile"
 *  @param user_data_free  may be NULL. On failure the caller keeps user_data
 *  @since 0.1
 */
DEPOT_API depot_code depot_solve_request_set_context_stream(depot_solve_request *request,
                                                            depot_read_cb read, void *user_data,
                                                            depot_free_cb user_data_free,
                                                            const char *dockerfile,
                                                            depot_error **error);

typedef struct depot_explanation depot_explanation;   /* why a path is sent, or ignored */
typedef struct depot_context_list depot_context_list; /* what of a context may be sent  */

/** Which ignore rule sends or ignores a path of the local context of `request`. The builder is not
 *  asked. The rules are those of the Dockerfile's own ignore file (NAME.dockerignore), else of
 *  .dockerignore; the last that matches the path or a directory above it decides.
 *
 *  @param      path  relative to the context, or absolute and in its directory
 *  @param[out] out   owned, depot_explanation_free(); NULL on failure
 *  @return DEPOT_OK; DEPOT_NOT_FOUND when the context has no such path; DEPOT_INVALID_ARGUMENT for
 *          a path outside, a rule that cannot be read, or a context that is not local
 *  @thread any; reads files
 *  @since 0.1
 */
DEPOT_API depot_code depot_context_explain(const depot_solve_request *request, const char *path,
                                           depot_explanation **out, depot_error **error);
/** NULL is allowed. @since 0.1 */
DEPOT_API void depot_explanation_free(depot_explanation *explanation);
/** 1: a builder that needs it gets it; 0: it is ignored. @since 0.1 */
DEPOT_API int32_t depot_explanation_sent(const depot_explanation *explanation);
/** The rule that decided, borrowed: the file it stands in, its line from 1, its text, and what it
 *  matched (the path or a directory above it). "" and 0 when no rule matched. @since 0.1 */
DEPOT_API const char *depot_explanation_file(const depot_explanation *explanation);
DEPOT_API int32_t depot_explanation_line(const depot_explanation *explanation);
DEPOT_API const char *depot_explanation_rule(const depot_explanation *explanation);
DEPOT_API const char *depot_explanation_matched(const depot_explanation *explanation);

/** The files of the local context of `request` that are not ignored, with their sizes. The builder
 *  is not asked; a build that copies less asks for less. Takes memory for every path.
 *
 *  @param      cancel  NULL: cannot be cancelled
 *  @param[out] out     owned, depot_context_list_free(); NULL on failure
 *  @thread blocking on the disk; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_context_list_new(const depot_solve_request *request,
                                            depot_cancel *cancel, depot_context_list **out,
                                            depot_error **error);
/** NULL is allowed. @since 0.1 */
DEPOT_API void depot_context_list_free(depot_context_list *list);
/** In the order of a walk. An index out of range answers "" and 0. @since 0.1 */
DEPOT_API size_t depot_context_list_count(const depot_context_list *list);
DEPOT_API const char *depot_context_list_path(const depot_context_list *list, size_t index);
DEPOT_API uint64_t depot_context_list_size(const depot_context_list *list, size_t index);

/** 1: the result lists what was sent, see depot_result_sent_count(). Takes memory for every path.
 *  @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_record_context(depot_solve_request *request,
                                                            int32_t record, depot_error **error);

DEPOT_END_DECLS

#endif
