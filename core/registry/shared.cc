#include "registry/shared.h"

namespace depot::registry {

namespace {

constexpr size_t kThreads = 2;

}  // namespace

void Shared::close() {
  std::shared_ptr<base::Pool> pool;
  std::shared_ptr<http::Client> client;
  MakeClient make;
  std::lock_guard making(making_);  // a client is being made: seconds at most
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    unused_.wait(lock, [&] { return users_ == 0; });
    pool = std::move(pool_);
    client = std::move(client_);
    make = std::move(make_client_);
  }
}

void Shared::post(std::function<void()> task) {
  std::lock_guard guard(mutex_);
  if (closed_) return;  // `task` goes after the lock
  if (!pool_) pool_ = std::make_shared<base::Pool>(kThreads);
  pool_->add(std::move(task));
}

base::Status Shared::need_client() {
  std::lock_guard making(making_);
  MakeClient make;
  {
    std::lock_guard guard(mutex_);
    if (closed_) return base::cancelled_error();
    if (client_) return base::ok_status();
    make = make_client_;
  }
  std::shared_ptr<http::Client> client;
  if (make) {
    client = make();
  } else {
    http::Options options;
    options.user_agent = "libdepot";
    client = http::Client::create(std::move(options));
  }
  if (!client) {
    return base::Status(base::Code::kFailedPrecondition, base::Hop::kRegistry,
                        "there is no HTTP client to fetch a registry's token with");
  }
  std::lock_guard guard(mutex_);
  client_ = std::move(client);  // close() waits for making_, so it finds it
  return base::ok_status();
}

bool Shared::with_client(const std::function<void(http::Client&)>& use) {
  http::Client* client = nullptr;
  {
    std::lock_guard guard(mutex_);
    if (closed_ || !client_) return false;
    client = client_.get();
    ++users_;
  }
  use(*client);
  std::lock_guard guard(mutex_);
  if (--users_ == 0) unused_.notify_all();
  return true;
}

}  // namespace depot::registry
