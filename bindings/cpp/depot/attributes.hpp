// How to build: the setters of SolveRequest that depot/attributes.h has.
#ifndef DEPOT_ATTRIBUTES_HPP
#define DEPOT_ATTRIBUTES_HPP

#include <cstdint>
#include <string>

#include "depot/attributes.h"
#include "depot/error.hpp"

namespace depot {
namespace detail {

// What SolveRequest inherits. Values are spelled as those of docker buildx build's flags.
template <class Request>
class AttributeSetters {
 public:
  Request& set_build_arg(const std::string& name, const std::string& value) {
    return set(depot_solve_request_set_build_arg, name.c_str(), value.c_str());
  }
  /// Takes the value from this process's environment, if it is there.
  Request& set_build_arg(const std::string& name) {
    return set(depot_solve_request_set_build_arg, name.c_str(), static_cast<const char*>(nullptr));
  }
  Request& set_label(const std::string& key, const std::string& value) {
    return set(depot_solve_request_set_label, key.c_str(), value.c_str());
  }
  Request& set_target(const std::string& target) {
    return set(depot_solve_request_set_target, target.c_str());
  }
  /// Comma list, e.g. "linux/amd64".
  Request& set_platform(const std::string& platform) {
    return set(depot_solve_request_set_platform, platform.c_str());
  }
  Request& set_no_cache(bool no_cache = true) {
    return set(depot_solve_request_set_no_cache, static_cast<std::int32_t>(no_cache));
  }
  /// Stages, comma list.
  Request& add_no_cache_filter(const std::string& stages) {
    return set(depot_solve_request_add_no_cache_filter, stages.c_str());
  }
  Request& set_pull(bool pull = true) {
    return set(depot_solve_request_set_pull, static_cast<std::int32_t>(pull));
  }
  /// "db:10.0.0.7"; the address may be "host-gateway".
  Request& add_host(const std::string& host) {
    return set(depot_solve_request_add_host, host.c_str());
  }
  /// "default", "none" or "host".
  Request& set_network(const std::string& mode) {
    return set(depot_solve_request_set_network, mode.c_str());
  }
  /// "64m".
  Request& set_shm_size(const std::string& size) {
    return set(depot_solve_request_set_shm_size, size.c_str());
  }
  /// "nofile=1024:2048".
  Request& add_ulimit(const std::string& ulimit) {
    return set(depot_solve_request_add_ulimit, ulimit.c_str());
  }
  /// "memory=2g".
  Request& add_resource(const std::string& resource) {
    return set(depot_solve_request_add_resource, resource.c_str());
  }
  Request& set_cgroup_parent(const std::string& name) {
    return set(depot_solve_request_set_cgroup_parent, name.c_str());
  }
  /// "network.host", "security.insecure", "device".
  Request& add_entitlement(const std::string& entitlement) {
    return set(depot_solve_request_add_entitlement, entitlement.c_str());
  }
  /// The key may say what is annotated: "index:KEY", "manifest[linux/amd64]:KEY".
  Request& set_annotation(const std::string& key, const std::string& value) {
    return set(depot_solve_request_set_annotation, key.c_str(), value.c_str());
  }
  /// "type=sbom,generator=IMAGE".
  Request& add_attest(const std::string& spec) {
    return set(depot_solve_request_add_attest, spec.c_str());
  }
  /// "true", "false", or attributes.
  Request& set_sbom(const std::string& sbom = "true") {
    return set(depot_solve_request_set_sbom, sbom.c_str());
  }
  /// "true", "false", or attributes: "mode=max".
  Request& set_provenance(const std::string& provenance = "true") {
    return set(depot_solve_request_set_provenance, provenance.c_str());
  }
  /// The provenance that docker buildx adds by itself.
  Request& set_default_attestations(bool on = true) {
    return set(depot_solve_request_set_default_attestations, static_cast<std::int32_t>(on));
  }

 private:
  template <class F, class... Args>
  Request& set(F setter, Args... args) {
    auto& request = static_cast<Request&>(*this);
    call([&](depot_error** raw) { return setter(request.get(), args..., raw); });
    return request;
  }
};

}  // namespace detail
}  // namespace depot

#endif
