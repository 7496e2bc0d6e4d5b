#include "machine/client.h"

#include "buildkit/address.h"
#include "depotapi/resolve.h"

namespace depot::machine {

using base::Result;

Client::Client(ClientOptions options) : log_(std::move(options.log)), options_(std::move(options)) {
  options_.log = log_.sink();
}

std::shared_ptr<http::Client> Client::http() const {
  std::lock_guard lock(mutex_);
  if (!http_) {
    http::Options options;
    options.user_agent = user_agent();
    options.ca_file = options_.ca_file;
    options.proxy = options_.proxy;
    options.environment = options_.environment;
    options.log = options_.log;
    http_ = http::Client::create(std::move(options));
  }
  return http_;
}

localbuilder::LaunchOptions Client::launch_options() const {
  localbuilder::LaunchOptions launch;
  launch.builderd_path = options_.builderd_path;
  launch.engine_dir = options_.engine_dir;
  launch.state_dir = options_.state_dir;
  launch.environment = options_.environment;
  launch.log = options_.log;
  return launch;
}

std::string Client::user_agent() const {
  return depotapi::user_agent(options_.product, options_.environment);
}

Result<std::shared_ptr<Client>> Client::create(ClientOptions options) {
  auto client = std::shared_ptr<Client>(new Client(std::move(options)));
  const ClientOptions& o = client->options_;
  if (o.max_message < 0) return base::usage_error("max_message_size is negative");
  if (o.tls_cert_file.empty() != o.tls_key_file.empty())
    return base::usage_error("a TLS certificate needs its key, and a key its certificate");

  if (!o.nodes.empty()) {
    if (!o.builder.empty() && o.builder != "auto")
      return base::usage_error("either one builder is named, or several nodes");
    client->kind_ = Kind::kAddress;
    for (const auto& spec : o.nodes) {
      DEPOT_ASSIGN(Node node, parse_node(spec, o.environment));
      client->builder_ += (client->builder_.empty() ? "" : ",") + node.name;
      client->nodes_.push_back(std::move(node));
    }
    return client;
  }
  std::string choice = o.builder.empty() ? "auto" : o.builder;
  if (choice == "auto") {
    if (depotapi::has_token(o.token, o.environment))
      choice = "depot";
    else if (auto host = o.environment.get_or("BUILDKIT_HOST", ""); !host.empty())
      choice = host;
    else
      choice = "local";
  }
  client->builder_ = choice;
  if (choice == "depot") {
    client->kind_ = Kind::kDepot;
  } else if (choice == "local") {
    client->kind_ = Kind::kLocal;
  } else {
    client->kind_ = Kind::kAddress;
    DEPOT_ASSIGN(client->builder_, buildkit::resolve_address(choice, o.environment));
    DEPOT_TRY(buildkit::parse_address(client->builder_).status());
    client->nodes_.push_back({client->builder_, {}});
  }
  if (client->kind_ != Kind::kAddress) client->nodes_ = api_nodes();
  return client;
}

}  // namespace depot::machine
