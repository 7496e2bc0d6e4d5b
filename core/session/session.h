// The session tunnel: BuildKit calls back into us for files, credentials and exports.
//
// Control.Session is a bidirectional stream of BytesMessages on the outer connection; their
// payload, joined, is an HTTP/2 connection whose client is the daemon and whose server is ours: the
// engine of http2/server.h. Everything runs on the channel's loop thread, so health is answered
// inside the reader itself and no disk, helper program or callback can make a build lose its
// session. What may block (reading files, credential helpers, writing exports) runs on a small pool
// and comes back by posts.
//
// Invariants
//  - The stream reader never waits for a handler. Back-pressure is per inner stream, by its window.
//  - One write of the outer stream is under way at a time; the next is produced when it is done, so
//    nothing piles up and a small answer waits behind one buffer at most.
//  - on_end is called exactly once, last.
//  - A connection that died without a word is noticed in less than a minute: the daemon asks for
//  the session's
//    health every 5 s, so after some silence it is asked something itself, and an answer that does
//    not come ends the session. HTTP/2's own pings may not be that frequent (buildkit/transport.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/pool.h"
#include "base/status.h"
#include "buildkit/channel.h"
#include "content/store.h"
#include "filesync/sent_record.h"
#include "filesync/tree_writer.h"
#include "filesync/virtual_tree.h"
#include "registry/auth.h"
#include "session/secrets.h"
#include "session/skim.h"
#include "session/ssh.h"
#include "session/upload.h"

namespace depot::session {

// Takes the bytes of one export (FileSend). Loop thread; none of these may block.
class ExportSink {
 public:
  virtual ~ExportSink() = default;
  // FileSend begins. The sink calls `ready`, on any thread: with ok when it was full and has room
  // again; with an error when it cannot take any more, which breaks the stream off.
  virtual base::Status open(std::function<void(base::Status)> ready) = 0;
  // Takes the bytes (always). False: full, hold the peer back until resume. After that at most one
  // stream window (1 MiB) still comes.
  virtual bool write(std::span<const uint8_t> data) = 0;
  // All bytes came. `done` on any thread, once: ok when they are safely in the sink.
  virtual void finish(std::function<void(base::Status)> done) = 0;
  // The stream broke off; drop what came. After open(), instead of finish().
  virtual void abort() = 0;
  // All bytes came and are safely in the sink. Any thread.
  virtual bool complete() const = 0;
};

// What FileSync sent for one request of the daemon.
struct SyncTotals {
  std::string dir_name;
  uint64_t stats = 0;
  uint64_t files = 0;
  uint64_t data_bytes = 0;
  uint64_t wire_bytes = 0;
  std::vector<filesync::SentFile> sent;  // with Options::record_sent
  base::Status status;  // of our side: a file that could not be read, a request that was refused
};

// What came of one stream of an export into a directory.
struct TreeReceived {
  uint32_t index = 0;  // of the export
  filesync::TreeTotals totals;
  base::Status status;  // of our side: a disk that is full, a builder that sent what may not be
  bool complete = false;
};

struct Options {
  std::string id;          // base::random_id()
  std::string shared_key;  // per directory, stable between builds: the daemon re-syncs by it
  std::map<std::string, std::string> locals;  // dir name -> directory
  // dir name -> files: alone, or laid over the directory of that name
  std::map<std::string, std::shared_ptr<const filesync::VirtualTree>> files;
  // id -> what http://buildkit-session/<id> is, once
  std::map<std::string, std::shared_ptr<UploadSource>> uploads;
  std::map<uint32_t, std::shared_ptr<ExportSink>> sinks;          // exporter index -> sink
  std::map<uint32_t, filesync::TreeOptions> trees;                // exporter index -> directory
  std::map<std::string, std::shared_ptr<content::Store>> stores;  // content store id -> layout
  std::shared_ptr<registry::Auth> auth;                           // null: Auth is not offered
  std::map<std::string, std::shared_ptr<SecretSource>> secrets;   // by id
  std::map<std::string, SshAgent> ssh;                            // by id
  std::shared_ptr<SshThread> ssh_thread;                          // with ssh
  std::map<std::string, std::shared_ptr<Skim>> skims;    // id -> what an export's index goes into
  std::shared_ptr<base::Pool> pool;                      // blocking reads and writes
  std::shared_ptr<base::Pool> walkers;                   // walks of local dirs, uploads
  bool record_sent = false;                              // list every file in SyncTotals
  std::function<void()> on_started;                      // loop thread; the connection stands
  std::function<void(const SyncTotals&)> on_synced;      // loop thread; a local dir was transferred
  std::function<void(const TreeReceived&)> on_received;  // loop thread; an export's stream is over
  std::function<void(uint64_t)> on_export_bytes;         // the same, of one that went into a sink
  // Loop thread; the daemon asked for what it was promised, and it cannot be had. The daemon's own
  // error then quotes this one's message.
  std::function<void(const base::Status&)> on_failed;
  base::LogSink log;
  // Of the connection, once to twice as long, before the daemon is asked whether it is there; and
  // of its answer. Its health probe waits up to 15 s for an answer of ours (30 s before 0.30).
  std::chrono::milliseconds silence{15000};
  std::chrono::milliseconds patience{20000};
};

class Session {
 public:
  // Loop thread for everything, the destructor too.
  static std::shared_ptr<Session> open(const std::shared_ptr<buildkit::Channel>& channel,
                                       Options options, std::function<void(base::Status)> on_end);
  virtual ~Session() = default;
  // Half-closes: the daemon ends the stream, then on_end(ok) follows.
  virtual void close() = 0;
  // Breaks off at once.
  virtual void cancel() = 0;
};

}  // namespace depot::session
