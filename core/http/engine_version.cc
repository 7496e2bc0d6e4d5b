// Which version of HTTP a request is sent with.
#include "http/engine.h"
#include "http/proxy.h"

namespace depot::http {

using base::Status;

void Engine::ask_version(Call& call) {
  const Transfer& transfer = call.transfer;
  bool proxied = options_.unix_socket.empty() &&
                 !proxy_for(transfer.url, options_.proxy, environment_).empty();
  switch (transfer.request.version) {
    case Version::kHttp1:
      return launch(call, CURL_HTTP_VERSION_1_1);
    case Version::kHttp2:
      if (!transfer.url.https) return launch(call, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
      break;
    case Version::kDefault:
      break;
  }
  if (transfer.url.https) return launch(call, CURL_HTTP_VERSION_2TLS);
  if (proxied) return launch(call, CURL_HTTP_VERSION_1_1);
  const std::string& origin = transfer.url.origin;
  if (auto known = versions_.find(origin); known != versions_.end())
    return launch(call, known->second);
  auto& asking = probes_[origin];
  if (asking) {
    asking->probe.waiting.push_back(transfer.id);
    return;
  }
  asking = std::make_unique<Asking>(this, transfer.url);
  asking->probe.waiting.push_back(transfer.id);
  if (!asking->probe.prepare(options_, transfer.request.connect_timeout, asking.get()) ||
      curl_multi_add_handle(multi_, asking->probe.easy()) != CURLM_OK)
    failed_to_ask(std::string(origin), CURLE_OUT_OF_MEMORY);
}

void Engine::asked(Asking& asking, CURLcode code) {
  if (code != CURLE_OK) return failed_to_ask(asking.origin, code);
  if (auto answer = asking.probe.connected(); answer != Probe::Answer::kNothingYet)
    return answered(asking.origin, answer);
  asking.probe.patience = run_after(Probe::kPatience, [this, &asking] {
    asking.probe.patience = 0;
    answered(asking.origin, Probe::Answer::kSilent);
  });
}

void Engine::look_at_probes() {
  std::vector<std::pair<std::string, Probe::Answer>> answers;
  for (auto& [origin, asking] : probes_) {
    if (asking->probe.socket() < 0) continue;
    if (auto answer = asking->probe.readable(); answer != Probe::Answer::kNothingYet)
      answers.emplace_back(origin, answer);
  }
  for (auto& [origin, answer] : answers) answered(origin, answer);
}

void Engine::drop_probe(const std::string& origin) {
  auto node = probes_.extract(origin);
  if (node.empty()) return;
  Probe& probe = node.mapped()->probe;
  if (probe.patience) cancel_timer(probe.patience);
  if (probe.easy()) curl_multi_remove_handle(multi_, probe.easy());
}

void Engine::answered(const std::string& name, Probe::Answer answer) {
  auto it = probes_.find(name);
  if (it == probes_.end()) return;
  std::string origin = name;  // `name` may be the probe's own
  std::vector<Client::CallId> waiting = std::move(it->second->probe.waiting);
  drop_probe(origin);
  long version =
      answer == Probe::Answer::kHttp2 ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : CURL_HTTP_VERSION_1_1;
  if (answer != Probe::Answer::kSilent) versions_[origin] = version;
  for (Client::CallId id : waiting)
    if (auto call = calls_.find(id); call != calls_.end()) launch(*call->second, version);
}

void Engine::failed_to_ask(const std::string& name, CURLcode code) {
  auto it = probes_.find(name);
  if (it == probes_.end()) return;
  std::string origin = name;
  Status status = it->second->probe.failure(code);
  std::vector<Client::CallId> waiting = std::move(it->second->probe.waiting);
  drop_probe(origin);
  for (Client::CallId id : waiting) finish(id, status);
}

}  // namespace depot::http
