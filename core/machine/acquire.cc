// Machine::acquire: the lease, then the machine's address and identity.
#include <algorithm>

#include "base/small_file.h"
#include "buildkit/address.h"
#include "machine/machine.h"

namespace depot::machine {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using Clock = std::chrono::steady_clock;

constexpr int kAcquireTries = 2;
// One answer of the API; the whole acquire has the caller's deadline.
constexpr std::chrono::milliseconds kCallTimeout{30000};
constexpr std::chrono::milliseconds kHealthTimeout{10000};

Result<std::string> parse_platform(std::string text) {
  if (text.empty()) return api_nodes()[0].name;  // this computer's
  if (text.starts_with("linux/")) text = text.substr(6);
  if (text == "amd64" || text == "arm64") return text;
  return base::usage_error("machine platform '" + text + "' is neither amd64 nor arm64");
}

// PEM files are small; anything else is a mistake.
constexpr size_t kMaxPem = 1 << 20;

Result<buildkit::Endpoint> plain_endpoint(const Client& client, const std::string& address_text) {
  const ClientOptions& o = client.options();
  buildkit::Endpoint endpoint;
  endpoint.address = address_text;
  endpoint.allow_plaintext = o.allow_plaintext;
  DEPOT_ASSIGN(buildkit::Address address, buildkit::parse_address(endpoint.address));
  if (address.dialled())
    endpoint.environment = std::make_shared<const base::Environment>(o.environment);
  if (!o.tls_ca_file.empty() || !o.tls_cert_file.empty() || !o.tls_server_name.empty()) {
    buildkit::TlsIdentity tls;
    if (!o.tls_ca_file.empty()) {
      DEPOT_ASSIGN(base::Secret ca, base::read_small_file(o.tls_ca_file, kMaxPem));
      tls.ca_pem = ca.reveal();
    }
    if (!o.tls_cert_file.empty()) {
      DEPOT_ASSIGN(base::Secret cert, base::read_small_file(o.tls_cert_file, kMaxPem));
      tls.cert_pem = cert.reveal();
      DEPOT_ASSIGN(tls.key_pem, base::read_small_file(o.tls_key_file, kMaxPem));
    }
    tls.server_name = o.tls_server_name;
    endpoint.tls = std::move(tls);
  }
  return endpoint;
}

buildkit::Endpoint endpoint_of(depotapi::MachineAnswer answer, const ClientOptions& options) {
  buildkit::Endpoint endpoint;
  endpoint.address = std::move(answer.endpoint);
  endpoint.gzip = answer.gzip;
  endpoint.allow_plaintext = options.allow_plaintext;
  if (!answer.cert_pem.empty() || !answer.ca_pem.empty()) {
    buildkit::TlsIdentity tls;
    tls.ca_pem = std::move(answer.ca_pem);
    tls.cert_pem = std::move(answer.cert_pem);
    tls.key_pem = std::move(answer.key_pem);
    tls.server_name = std::move(answer.server_name);
    endpoint.tls = std::move(tls);
  }
  return endpoint;
}

// Polls until the machine is there. `stop`: the caller's cancel, or the API's.
Result<depotapi::MachineAnswer> await_machine(const Build& build, depotapi::Platform platform,
                                              const base::Cancel& stop,
                                              Clock::time_point deadline) {
  auto left = [&] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  };
  auto late = [&] {
    return Status(Code::kDeadlineExceeded, Hop::kApi, "the machine did not become ready in time")
        .with_hint(
            "builders take up to a few minutes to start when none is running; try again, or "
            "give acquire more time");
  };
  for (;;) {
    if (left().count() <= 0) return late();
    depotapi::CallOptions call;
    call.cancel = stop;
    call.timeout = std::min(left(), kCallTimeout);
    auto answer = build.api()->get_connection(build.id(), platform, build.token(), call);
    if (!answer.ok()) {
      if (answer.status().code() == Code::kDeadlineExceeded && left().count() <= 0) return late();
      return answer;
    }
    if (answer->active) return answer;
    if (stop.wait_for(std::min(answer->wait, std::max(left(), std::chrono::milliseconds(0)))))
      return base::cancelled_error();
  }
}

bool worth_another_try(const Status& status) {
  switch (status.code()) {
    case Code::kUnavailable:
    case Code::kInternal:
    case Code::kUnknown:
    case Code::kAborted:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<std::shared_ptr<Machine>> Machine::acquire(std::shared_ptr<Build> build,
                                                  const std::string& platform,
                                                  const WaitOptions& options) {
  DEPOT_ASSIGN(std::string kind_name, parse_platform(platform));
  const Client& client = *build->client();
  if (!build->api()) {
    // Of several, the one that is to build this.
    auto share = assign(client.nodes(), {"linux/" + kind_name});
    DEPOT_ASSIGN(auto plain, acquire_node(build, share ? share->front().node : 0, options));
    plain->platform_ = kind_name;
    return plain;
  }
  auto machine = std::shared_ptr<Machine>(new Machine());
  machine->build_ = build;
  machine->platform_ = kind_name;

  auto deadline = Clock::now() + machine->patience(options);
  DEPOT_TRY(build->wake_builder(options.cancel, deadline));
  auto kind =
      machine->platform_ == "arm64" ? depotapi::Platform::kArm64 : depotapi::Platform::kAmd64;
  // Reports begin before the machine is there: they are what keeps the lease while it boots.
  std::weak_ptr<Machine> weak = machine;
  machine->heartbeat_ = Heartbeat::start(
      build->api_http()->loop(),
      [api = build->api(), id = build->id(), token = build->token(), kind](Heartbeat::Done done) {
        api->report_health(id, kind, token, kHealthTimeout, std::move(done));
      },
      [weak] {
        auto self = weak.lock();
        if (!self) return;
        {
          std::lock_guard lock(self->mutex_);
          self->taken_away_ = true;
        }
        self->gone_.trigger();
      },
      client.options().log);

  base::Cancel either = options.cancel.child();
  auto gone = machine->gone_.on_trigger([either] { either.trigger(); });
  Status failure;
  for (int tries = 0; tries < kAcquireTries; ++tries) {
    auto answer = await_machine(*build, kind, either, deadline);
    if (answer.ok()) {
      machine->endpoint_ = endpoint_of(std::move(*answer), client.options());
      machine->set_limits();
      return machine;
    }
    failure = answer.status();
    if (!worth_another_try(failure) || Clock::now() >= deadline) break;
  }
  // Whatever was begun ends with `machine`.
  if (machine->gone_.triggered()) return machine->gone_reason();
  return failure;
}

Result<std::shared_ptr<Machine>> Machine::acquire_node(std::shared_ptr<Build> build, size_t node,
                                                       const WaitOptions& options) {
  const Client& client = *build->client();
  const Node& wanted = client.nodes().at(node);
  if (build->api()) return acquire(std::move(build), wanted.name, options);
  auto machine = std::shared_ptr<Machine>(new Machine());
  machine->build_ = std::move(build);
  machine->platform_ = api_nodes()[0].name;
  for (const Node& kind : api_nodes())
    if (!wanted.platforms.empty() && assign({kind}, {wanted.platforms.front()}))
      machine->platform_ = kind.name;
  DEPOT_ASSIGN(machine->endpoint_, plain_endpoint(client, wanted.name));
  DEPOT_ASSIGN(buildkit::Address address, buildkit::parse_address(machine->endpoint_.address));
  machine->engine_ = address.engine;
  machine->dialled_ = address.dialled();
  machine->set_limits();
  return machine;
}

std::chrono::milliseconds Machine::patience(const WaitOptions& options) const {
  if (options.timeout.count() > 0) return options.timeout;
  return build_->api() ? std::chrono::minutes(5) : std::chrono::seconds(20);
}

void Machine::set_limits() {
  if (auto bytes = build_->client()->options().max_message; bytes > 0)
    endpoint_.max_message = bytes;
}

}  // namespace depot::machine
