// All of an Auth but its handle: tasks hold it, and it may outlive the Auth until they have ended.
// Private to the module.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/cancel.h"
#include "base/status.h"
#include "registry/auth.h"
#include "registry/flights.h"
#include "registry/lookup.h"
#include "registry/realm.h"
#include "registry/seeds.h"
#include "registry/shared.h"

namespace depot::registry {

// Hosts, salts and sizes were checked before. All `done`s as in auth.h, under the same rules.
class Core : public std::enable_shared_from_this<Core> {
 public:
  static std::shared_ptr<Core> create(AuthOptions options);
  explicit Core(AuthOptions options);

  // Cancels what is under way and lets go of the pool and the client, on this thread.
  void close();

  void find(const std::string& host, const base::Cancel& cancel, Auth::Done<Credentials> done);
  void fetch(TokenRequest request, const base::Cancel& cancel, Auth::Done<Token> done);
  void public_key(const std::string& host, const std::string& salt, const base::Cancel& cancel,
                  Auth::Done<Auth::PublicKey> done);
  void sign(const std::string& host, const std::string& salt, const std::string& payload,
            const base::Cancel& cancel, Auth::Done<std::string> done);

  // Tells the caller of a party that is about to get a secret, once. Not under a lock.
  void report(const std::string& host, const std::string& realm_host);
  // Calls `done` with an error through the pool, as every answer comes.
  template <class T>
  void refuse(Auth::Done<T> done, const base::Status& status) {
    auto promise = std::make_shared<Promise<T>>(std::move(done));
    shared_->post([promise, status] { promise->settle(status); });
  }
  const base::Environment& environment() const { return options_.environment; }

 private:
  struct Kept {
    Credentials credentials;
    std::chrono::steady_clock::time_point until;
  };
  // What a token authority does with its key.
  template <class T>
  using Use = std::function<base::Result<T>(const base::Secret& key)>;

  std::optional<Credentials> recall(const std::string& host);
  void keep(const std::string& host, const Credentials& credentials);
  // On the pool.
  void fetch_with(const TokenRequest& request, Credentials login, const base::Cancel& cancel,
                  const std::shared_ptr<Promise<Token>>& promise);
  template <class T>
  void with_key(Flights<T>& flights, const std::string& flight, const std::string& host,
                const std::string& salt, const base::Cancel& cancel, Auth::Done<T> done,
                Use<T> use);
  RealmRules rules(const base::Cancel& cancel);
  bool ask(const std::string& host, const std::string& realm_host, const base::Cancel& cancel);

  const AuthOptions options_;  // without pool and http, which shared_ has
  const base::Cancel root_;
  std::shared_ptr<Shared> shared_;
  Lookup lookup_;
  TokenSeeds seeds_;
  std::shared_ptr<Flights<Credentials>> lookups_;
  std::shared_ptr<Flights<Token>> tokens_;
  std::shared_ptr<Flights<Auth::PublicKey>> keys_;
  std::shared_ptr<Flights<std::string>> proofs_;

  std::mutex mutex_;
  std::map<std::string, Kept> kept_;                        // by config_key()
  std::set<std::pair<std::string, std::string>> reported_;  // registry, token server
  std::mutex asking_;                                       // held while a person may be asked
  std::map<std::pair<std::string, std::string>, bool> consented_;
};

}  // namespace depot::registry
