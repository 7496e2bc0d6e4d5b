#include "depot/context.h"

#include "edit.h"
#include "solve/events.h"
#include "solve/explain.h"
#include "solve/stream.h"

using depot::base::Result;
using depot::base::Status;
using depot::base::usage_error;
using depot::filesync::VirtualFile;
using namespace depot::capi;  // NOLINT: one file, one purpose

struct depot_explanation {
  depot::solve::Explanation found;
};

struct depot_context_list {
  std::vector<depot::solve::ContextFile> files;
};

namespace {

Result<std::string> text_of(const char* text, size_t size) {
  if (text == nullptr && size > 0) return null_argument("text");
  return std::string(text == nullptr ? "" : text, size);
}

Status add_file(depot::solve::Request& to, const char* name, const char* path, uint32_t mode,
                VirtualFile file) {
  file.mode = mode == 0 ? 0644 : mode;
  return to.add_file(name == nullptr ? "context" : name, path, std::move(file));
}

// A C function as the core reads from it. What it returns is checked: it wrote nowhere else, but
// may have said that it did.
depot::filesync::ReadContent reader_of(depot_read_cb read, const std::shared_ptr<UserData>& data,
                                       const std::string& what) {
  return [read, data, what](uint64_t offset, std::span<uint8_t> out) -> Result<size_t> {
    int64_t got = read(offset, out.data(), out.size(), data->get());
    if (got < 0) return depot::solve::callback_error(what, static_cast<int32_t>(got));
    if (static_cast<uint64_t>(got) > out.size()) {
      return Status(depot::base::Code::kInvalidArgument, depot::base::Hop::kCallback,
                    "the " + what + " callback says that it wrote more than fits");
    }
    return static_cast<size_t>(got);
  };
}

}  // namespace

depot_code depot_solve_request_set_dockerfile_text(depot_solve_request* request, const char* text,
                                                   size_t size, depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    DEPOT_ASSIGN(to.dockerfile_text, text_of(text, size));
    return {};
  });
}

depot_code depot_solve_request_set_ignore_text(depot_solve_request* request, const char* text,
                                               size_t size, depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    DEPOT_ASSIGN(to.ignore_text, text_of(text, size));
    return {};
  });
}

depot_code depot_solve_request_add_file(depot_solve_request* request, const char* name,
                                        const char* path, const void* data, size_t size,
                                        uint32_t mode, depot_error** error) {
  return edit(request, {path}, error, [&](auto& to) -> Status {
    VirtualFile file;
    DEPOT_ASSIGN(file.bytes, text_of(static_cast<const char*>(data), size));
    return add_file(to, name, path, mode, std::move(file));
  });
}

depot_code depot_solve_request_add_file_callback(depot_solve_request* request, const char* name,
                                                 const char* path, depot_read_cb read,
                                                 void* user_data, depot_free_cb user_data_free,
                                                 int64_t size, uint32_t mode, depot_error** error) {
  return edit(request, {path}, error, [&](auto& to) -> Status {
    if (read == nullptr) return null_argument("read");
    if (size < -1) return usage_error("the size of file " + std::string(path) + " is negative");
    auto data = std::make_shared<UserData>(user_data);
    VirtualFile file;
    file.read = reader_of(read, data, "file " + std::string(path));
    if (size >= 0) file.size = static_cast<uint64_t>(size);
    DEPOT_TRY(add_file(to, name, path, mode, std::move(file)));
    data->own(user_data_free);
    return {};
  });
}

depot_code depot_solve_request_set_context_stream(depot_solve_request* request, depot_read_cb read,
                                                  void* user_data, depot_free_cb user_data_free,
                                                  const char* dockerfile, depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    if (read == nullptr) return null_argument("read");
    auto data = std::make_shared<UserData>(user_data);
    auto stream = depot::solve::Stream::of_function(reader_of(read, data, "context"), "the stream");
    DEPOT_TRY(to.set_context_stream(std::move(stream), text_or_empty(dockerfile)));
    data->own(user_data_free);
    return {};
  });
}

depot_code depot_solve_request_set_record_context(depot_solve_request* request, int32_t record,
                                                  depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    to.record_context = record != 0;
    return {};
  });
}

depot_code depot_solve_request_set_record_provenance(depot_solve_request* request,
                                                     const char* detail, depot_error** error) {
  return edit(request, {}, error,
              [&](auto& to) { return to.set_record_provenance(detail == nullptr ? "" : detail); });
}

depot_code depot_context_explain(const depot_solve_request* request, const char* path,
                                 depot_explanation** out, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (request == nullptr) return null_argument("request");
    if (path == nullptr) return null_argument("path");
    DEPOT_ASSIGN(auto found, depot::solve::explain_context(request->request, path));
    *out = new depot_explanation{std::move(found)};
    return {};
  });
}

void depot_explanation_free(depot_explanation* explanation) {
  delete explanation;
}

int32_t depot_explanation_sent(const depot_explanation* explanation) {
  return explanation != nullptr && explanation->found.sent;
}
const char* depot_explanation_file(const depot_explanation* explanation) {
  return explanation == nullptr ? "" : explanation->found.file.c_str();
}
int32_t depot_explanation_line(const depot_explanation* explanation) {
  return explanation == nullptr ? 0 : explanation->found.line;
}
const char* depot_explanation_rule(const depot_explanation* explanation) {
  return explanation == nullptr ? "" : explanation->found.rule.c_str();
}
const char* depot_explanation_matched(const depot_explanation* explanation) {
  return explanation == nullptr ? "" : explanation->found.matched.c_str();
}

depot_code depot_context_list_new(const depot_solve_request* request, depot_cancel* cancel,
                                  depot_context_list** out, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (request == nullptr) return null_argument("request");
    DEPOT_ASSIGN(auto files, depot::solve::list_context(request->request, {cancel_of(cancel), {}}));
    *out = new depot_context_list{std::move(files)};
    return {};
  });
}

void depot_context_list_free(depot_context_list* list) {
  delete list;
}

size_t depot_context_list_count(const depot_context_list* list) {
  return list == nullptr ? 0 : list->files.size();
}
const char* depot_context_list_path(const depot_context_list* list, size_t index) {
  return index < depot_context_list_count(list) ? list->files[index].path.c_str() : "";
}
uint64_t depot_context_list_size(const depot_context_list* list, size_t index) {
  return index < depot_context_list_count(list) ? list->files[index].size : 0;
}
