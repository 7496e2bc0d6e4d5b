// Content: local caches and OCI layouts, which the daemon reads and writes as stores of
// containerd's kind. What is here are its small calls; reading and writing have files of their own.
#include "session/content.h"

#include <containerd/services/content/v1/content.pb.h>

#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
namespace proto = ::containerd::services::content::v1;

constexpr size_t kMaxStatuses = 256;

void set_time(::google::protobuf::Timestamp* to, const timespec& from) {
  to->set_seconds(from.tv_sec);
  to->set_nanos(static_cast<int32_t>(from.tv_nsec));
}

void describe(proto::Info& to, const content::Digest& digest, const content::BlobInfo& info) {
  to.set_digest(digest.text());
  to.set_size(info.size);
  set_time(to.mutable_created_at(), info.modified);
  set_time(to.mutable_updated_at(), info.accessed);
}

void describe(proto::Status& to, const content::IngestStatus& status) {
  to.set_ref(status.ref);
  to.set_offset(status.offset);
  to.set_total(status.total);
  to.set_expected(status.expected);
  set_time(to.mutable_started_at(), status.started);
  set_time(to.mutable_updated_at(), status.updated);
}

Result<std::string> info(content::Store& store, const proto::InfoRequest& request) {
  DEPOT_ASSIGN(auto digest, content::Digest::parse(request.digest()));
  DEPOT_ASSIGN(auto found, store.info(digest));
  proto::InfoResponse response;
  describe(*response.mutable_info(), digest, found);
  return response.SerializeAsString();
}

// A layout has no place for labels: the answer is what there is, without them.
Result<std::string> update(content::Store& store, const proto::UpdateRequest& request) {
  DEPOT_ASSIGN(auto digest, content::Digest::parse(request.info().digest()));
  for (const auto& path : request.update_mask().paths()) {
    if (path != "labels" && !path.starts_with("labels."))
      return Status(Code::kInvalidArgument, Hop::kSession, "only labels can be updated");
  }
  DEPOT_ASSIGN(auto found, store.info(digest));
  proto::UpdateResponse response;
  describe(*response.mutable_info(), digest, found);
  return response.SerializeAsString();
}

Result<std::string> status(content::Store& store, const proto::StatusRequest& request) {
  for (const auto& one : store.statuses()) {
    if (one.ref != request.ref()) continue;
    proto::StatusResponse response;
    describe(*response.mutable_status(), one);
    return response.SerializeAsString();
  }
  return Status(Code::kNotFound, Hop::kSession, "nothing is written under ref " + request.ref());
}

Result<std::string> list_statuses(content::Store& store,
                                  const proto::ListStatusesRequest& request) {
  // Their language is containerd's; nobody sends one here, and to answer more than was asked for
  // would be wrong.
  if (request.filters_size() > 0)
    return Status(Code::kUnimplemented, Hop::kSession, "filters are not supported");
  proto::ListStatusesResponse response;
  for (const auto& one : store.statuses()) {
    if (static_cast<size_t>(response.statuses_size()) == kMaxStatuses) break;
    describe(*response.add_statuses(), one);
  }
  return response.SerializeAsString();
}

Result<std::string> abort(content::Store& store, const proto::AbortRequest& request) {
  DEPOT_TRY(store.abort(request.ref()));
  return std::string();
}

// Answers on the pool, since every call looks at the disk.
template <class Request>
void add(http2::GrpcServer& server, std::string_view path, const Options& options,
         const std::shared_ptr<ContentContext>& context,
         Result<std::string> (*answer)(content::Store&, const Request&)) {
  server.add_async_unary(
      std::string(path),
      [&options, context, answer](const std::string& bytes, const http2::Headers& metadata,
                                  http2::GrpcServer::UnaryDone done) {
        auto store = store_of(metadata, options);
        if (!store.ok()) return done(store.status());
        Request request;
        if (!request.ParseFromString(bytes)) {
          return done(
              Status(Code::kInvalidArgument, Hop::kSession, "a content request cannot be parsed"));
        }
        context->on_pool([context, answer, store = std::move(*store), request = std::move(request),
                          done = std::move(done)] {
          auto result = answer(*store, request);
          context->post([context, done, result = std::move(result)] {
            // That a blob is not there is an answer.
            if (result.status().code() != Code::kNotFound) context->note(result.status());
            done(result);
          });
        });
      });
}

}  // namespace

Result<std::shared_ptr<content::Store>> store_of(const http2::Headers& metadata,
                                                 const Options& options) {
  auto id = metadata.find(kStoreId);
  if (!id)
    return Status(Code::kInvalidArgument, Hop::kSession,
                  "the request lacks metadata " + std::string(kStoreId));
  auto found = options.stores.find(std::string(*id));
  if (found == options.stores.end())
    return Status(Code::kNotFound, Hop::kSession,
                  "unknown store " + std::string(id->substr(0, 256)));
  return found->second;
}

void ContentContext::note(const Status& status) const {
  if (status.hop() == Hop::kLocal && status.code() != Code::kUnavailable && on_failed)
    on_failed(status);
}

void add_content(http2::GrpcServer& server, const Options& options, const Post& post) {
  if (options.stores.empty() && options.skims.empty()) return;
  auto context = std::make_shared<ContentContext>();
  context->post = post;
  context->pool = options.pool;
  context->on_failed = options.on_failed;
  add<proto::InfoRequest>(server, wire::kContentInfo, options, context, info);
  add<proto::UpdateRequest>(server, wire::kContentUpdate, options, context, update);
  add<proto::StatusRequest>(server, wire::kContentStatus, options, context, status);
  add<proto::ListStatusesRequest>(server, wire::kContentListStatuses, options, context,
                                  list_statuses);
  add<proto::AbortRequest>(server, wire::kContentAbort, options, context, abort);
  add_content_read(server, options, context);
  add_content_write(server, options, context);
}

}  // namespace depot::session
