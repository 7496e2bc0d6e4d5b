// The services a session offers, each registered on the GrpcServer. Private to the module.
#pragma once

#include <functional>
#include <memory>

#include "base/loop.h"
#include "http2/grpc.h"
#include "registry/auth.h"
#include "session/session.h"

namespace depot::session {

// Runs a task on the session's thread and then sends what it gave rise to. Any thread; the task is
// dropped when the session is gone.
using Post = std::function<void(base::Loop::Task)>;
// As Options::on_failed.
using OnFailed = std::function<void(const base::Status&)>;

// grpc.health.v1.Health/Check: SERVING, answered inside the stream reader.
void add_health(http2::GrpcServer& server);
// moby.filesync.v1.FileSync: options.locals and options.files, each read-only, nothing else.
void add_file_sync(http2::GrpcServer& server, const Options& options, const Post& post);
// moby.filesync.v1.FileSend: options.sinks.
void add_file_send(http2::GrpcServer& server, const Options& options, const Post& post);
// moby.upload.v1.Upload: options.uploads, each once.
void add_upload(http2::GrpcServer& server, const Options& options, const Post& post);
// containerd.services.content.v1.Content: options.stores.
void add_content(http2::GrpcServer& server, const Options& options, const Post& post);
// moby.filesync.v1.Auth.
void add_auth(http2::GrpcServer& server, const std::shared_ptr<registry::Auth>& auth,
              const Post& post, const OnFailed& failed);

// moby.buildkit.secrets.v1.Secrets: options.secrets. Without any it is not offered, which daemons
// take for "not found", too.
void add_secrets(http2::GrpcServer& server, const Options& options, const Post& post);

// moby.sshforward.v1.SSH: options.ssh.
void add_ssh(http2::GrpcServer& server, const Options& options, const Post& post);

// Values of a filesync metadata key, decoded when its "-encoded" marker says so.
std::vector<std::string> metadata_values(const http2::Headers& metadata, std::string_view key);

}  // namespace depot::session
