#include "builderd/database.h"

#include <sqlite3.h>
#include <unistd.h>

#include <charconv>
#include <ctime>
#include <initializer_list>
#include <string_view>
#include <variant>

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

constexpr char kSchema[] = R"sql(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS projects (
    id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS builds (
    id TEXT PRIMARY KEY, project TEXT NOT NULL, token_hash BLOB NOT NULL, status INTEGER NOT NULL,
    created_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL, message TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS builds_by_time ON builds (project, created_ms DESC, id DESC);
  CREATE INDEX IF NOT EXISTS builds_by_status ON builds (status);
  CREATE INDEX IF NOT EXISTS builds_by_token ON builds (token_hash);
  CREATE TABLE IF NOT EXISTS machines (
    key TEXT PRIMARY KEY, pid INTEGER NOT NULL, start_time INTEGER NOT NULL,
    directory TEXT NOT NULL) WITHOUT ROWID;
  PRAGMA user_version = 1;
)sql";

constexpr std::string_view kSilent = "its client went silent";
constexpr char kBuildColumns[] =
    "id, project, token_hash, status, created_ms, finished_ms, message";

bool damaged(int code) {
  return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

Status sqlite_error(sqlite3* db, int code, std::string_view what) {
  Code mapped = (code & 0xff) == SQLITE_FULL ? Code::kResourceExhausted : Code::kInternal;
  return Status(mapped, Hop::kBuilder,
                "the local builder's database: " + std::string(what) + ": " +
                    (db ? sqlite3_errmsg(db) : sqlite3_errstr(code)));
}

struct Blob {
  std::string_view bytes;
};
using Value = std::variant<int64_t, std::string_view, Blob>;

struct Finalize {
  void operator()(sqlite3_stmt* p) const { sqlite3_finalize(p); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

std::string text(sqlite3_stmt* row, int column) {
  const void* data = sqlite3_column_blob(row, column);
  return data ? std::string(static_cast<const char*>(data),
                            static_cast<size_t>(sqlite3_column_bytes(row, column)))
              : std::string();
}

BuildRecord build_of(sqlite3_stmt* row) {
  BuildRecord build;
  build.id = text(row, 0);
  build.project = text(row, 1);
  build.token_hash = text(row, 2);
  build.status = static_cast<BuildStatus>(sqlite3_column_int(row, 3));
  build.created_ms = sqlite3_column_int64(row, 4);
  build.finished_ms = sqlite3_column_int64(row, 5);
  build.message = text(row, 6);
  return build;
}

}  // namespace

struct Database::Impl {
  sqlite3* db = nullptr;
  ~Impl() { sqlite3_close_v2(db); }

  // Runs one statement, `on_row` for each of its rows.
  template <class OnRow>
  Status run(std::string_view sql, std::initializer_list<Value> values, OnRow on_row) {
    sqlite3_stmt* raw = nullptr;
    int code = sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &raw, nullptr);
    Statement statement(raw);
    if (code != SQLITE_OK) return sqlite_error(db, code, "preparing");
    int index = 0;
    for (const Value& value : values) {
      ++index;
      if (auto* number = std::get_if<int64_t>(&value)) {
        sqlite3_bind_int64(raw, index, *number);
      } else if (auto* string = std::get_if<std::string_view>(&value)) {
        sqlite3_bind_text64(raw, index, string->data() ? string->data() : "", string->size(),
                            SQLITE_TRANSIENT, SQLITE_UTF8);
      } else {
        std::string_view bytes = std::get<Blob>(value).bytes;
        sqlite3_bind_blob64(raw, index, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
      }
    }
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) on_row(raw);
    return code == SQLITE_DONE ? base::ok_status() : sqlite_error(db, code, "running");
  }
  Status run(std::string_view sql, std::initializer_list<Value> values) {
    return run(sql, values, [](sqlite3_stmt*) {});
  }

  // SQLITE_OK, or the code of what failed.
  int open(const std::string& path) {
    sqlite3_close_v2(db);
    db = nullptr;
    int code =
        sqlite3_open_v2(path.c_str(), &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (code != SQLITE_OK) return code;
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 1000);
    code = sqlite3_exec(db, kSchema, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return code;
    bool sound = false;
    Status checked =
        run("PRAGMA quick_check(1)", {}, [&](sqlite3_stmt* row) { sound = text(row, 0) == "ok"; });
    if (!checked.ok() || !sound) return SQLITE_CORRUPT;
    // A table of another make under one of our names is damage too.
    checked = run(std::string("SELECT ") + kBuildColumns + " FROM builds LIMIT 1", {});
    if (checked.ok())
      checked = run("SELECT key, pid, start_time, directory FROM machines LIMIT 1", {});
    return checked.ok() ? SQLITE_OK : SQLITE_CORRUPT;
  }
};

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::string& path,
                                                 const base::LogSink& log) {
  auto impl = std::make_unique<Impl>();
  int code = impl->open(path);
  if (damaged(code)) {
    sqlite3_close_v2(impl->db);
    impl->db = nullptr;
    std::string aside = path + ".damaged-" + std::to_string(std::time(nullptr));
    base::log(log, base::LogLevel::kError, "the database is damaged; moved to " + aside);
    if (::rename(path.c_str(), aside.c_str()) != 0) {
      return base::errno_error(errno, "cannot move " + path).with_hop(Hop::kBuilder);
    }
    for (const char* suffix : {"-wal", "-shm"}) ::unlink((path + suffix).c_str());
    code = impl->open(path);
  }
  if (code != SQLITE_OK) return sqlite_error(impl->db, code, "opening " + path);
  return std::unique_ptr<Database>(new Database(std::move(impl)));
}

Status Database::add_build(const BuildRecord& build) {
  DEPOT_TRY(impl_->run("INSERT OR IGNORE INTO projects VALUES (?, ?)",
                       {std::string_view(build.project), build.created_ms}));
  return impl_->run("INSERT INTO builds VALUES (?, ?, ?, ?, ?, ?, ?)",
                    {std::string_view(build.id), std::string_view(build.project),
                     Blob{build.token_hash}, static_cast<int64_t>(build.status), build.created_ms,
                     build.finished_ms, std::string_view(build.message)});
}

Result<std::optional<BuildRecord>> Database::find_build(const std::string& id) {
  std::optional<BuildRecord> found;
  DEPOT_TRY(impl_->run(std::string("SELECT ") + kBuildColumns + " FROM builds WHERE id = ?",
                       {std::string_view(id)}, [&](sqlite3_stmt* row) { found = build_of(row); }));
  return found;
}

Result<bool> Database::finish_build(const std::string& id, BuildStatus status, int64_t finished_ms,
                                    const std::string& message) {
  DEPOT_TRY(
      impl_->run("UPDATE builds SET status = ?, finished_ms = ?, message = ? WHERE id = ? AND"
                 " (status = ? OR (status = ? AND message = ?))",
                 {static_cast<int64_t>(status), finished_ms, std::string_view(message),
                  std::string_view(id), static_cast<int64_t>(BuildStatus::kRunning),
                  static_cast<int64_t>(BuildStatus::kFailed), kSilent}));
  return sqlite3_changes(impl_->db) > 0;
}

Result<bool> Database::give_up_build(const std::string& id, int64_t finished_ms) {
  DEPOT_TRY(impl_->run(
      "UPDATE builds SET status = ?, finished_ms = ?, message = ? WHERE id = ? AND status = ?",
      {static_cast<int64_t>(BuildStatus::kFailed), finished_ms, kSilent, std::string_view(id),
       static_cast<int64_t>(BuildStatus::kRunning)}));
  return sqlite3_changes(impl_->db) > 0;
}

Status Database::end_build_by_force(const std::string& id, int64_t finished_ms) {
  return impl_->run(
      "UPDATE builds SET status = ?, finished_ms = ?, message = ? WHERE id = ? AND status = ?",
      {static_cast<int64_t>(BuildStatus::kFailed), finished_ms, kStoppedByForce,
       std::string_view(id), static_cast<int64_t>(BuildStatus::kRunning)});
}

Result<bool> Database::has_token(std::string_view token_hash) {
  bool found = false;
  DEPOT_TRY(impl_->run("SELECT 1 FROM builds WHERE token_hash = ? LIMIT 1", {Blob{token_hash}},
                       [&](sqlite3_stmt*) { found = true; }));
  return found;
}

Result<std::vector<BuildRecord>> Database::running_builds() {
  std::vector<BuildRecord> builds;
  DEPOT_TRY(impl_->run(std::string("SELECT ") + kBuildColumns + " FROM builds WHERE status = ?",
                       {static_cast<int64_t>(BuildStatus::kRunning)},
                       [&](sqlite3_stmt* row) { builds.push_back(build_of(row)); }));
  return builds;
}

Result<Database::Page> Database::list_builds(const std::string& project, int32_t size,
                                             const std::string& cursor) {
  int64_t before = INT64_MAX;
  std::string before_id;
  if (!cursor.empty()) {
    auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), before);
    if (error != std::errc() || end == cursor.data() + cursor.size() || *end != '-') {
      return Status(Code::kInvalidArgument, Hop::kBuilder, "page token is not one of ours");
    }
    before_id = std::string(end + 1, cursor.data() + cursor.size());
  }
  Page page;
  DEPOT_TRY(impl_->run(std::string("SELECT ") + kBuildColumns +
                           " FROM builds WHERE project = ? AND (created_ms, id) < (?, ?)"
                           " ORDER BY created_ms DESC, id DESC LIMIT ?",
                       {std::string_view(project), before, std::string_view(before_id),
                        static_cast<int64_t>(size) + 1},
                       [&](sqlite3_stmt* row) { page.builds.push_back(build_of(row)); }));
  if (page.builds.size() > static_cast<size_t>(size)) {
    page.builds.pop_back();
    const BuildRecord& last = page.builds.back();
    page.next = std::to_string(last.created_ms) + "-" + last.id;
  }
  return page;
}

Status Database::forget_builds_before(int64_t created_ms) {
  return impl_->run("DELETE FROM builds WHERE created_ms < ? AND status != ?",
                    {created_ms, static_cast<int64_t>(BuildStatus::kRunning)});
}

Status Database::put_machine(const MachineRecord& machine) {
  return impl_->run(
      "INSERT OR REPLACE INTO machines VALUES (?, ?, ?, ?)",
      {std::string_view(machine.key), machine.pid, static_cast<int64_t>(machine.start_time),
       std::string_view(machine.directory)});
}

Status Database::remove_machine(const std::string& key) {
  return impl_->run("DELETE FROM machines WHERE key = ?", {std::string_view(key)});
}

Result<std::vector<MachineRecord>> Database::machines() {
  std::vector<MachineRecord> out;
  DEPOT_TRY(impl_->run(
      "SELECT key, pid, start_time, directory FROM machines", {}, [&](sqlite3_stmt* row) {
        out.push_back({text(row, 0), sqlite3_column_int64(row, 1),
                       static_cast<uint64_t>(sqlite3_column_int64(row, 2)), text(row, 3)});
      }));
  return out;
}

}  // namespace depot::builderd
