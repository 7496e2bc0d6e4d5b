#include "solve/attributes.h"

#include "base/environment.h"
#include "depot/attributes.h"
#include "edit.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose
namespace solve = depot::solve;

depot_code depot_solve_request_set_build_arg(depot_solve_request* request, const char* name,
                                             const char* value, depot_error** error) {
  return edit(request, {name}, error, [&](auto& to) -> Status {
    if (value != nullptr) return solve::set_build_arg(to, name, value);
    auto found = depot::base::Environment::of_process().get(name);
    if (found || *name == '\0') return solve::set_build_arg(to, name, found.value_or(""));
    return {};
  });
}

depot_code depot_solve_request_set_label(depot_solve_request* request, const char* key,
                                         const char* value, depot_error** error) {
  return edit(request, {key, value}, error,
              [&](auto& to) { return solve::set_label(to, key, value); });
}

depot_code depot_solve_request_set_target(depot_solve_request* request, const char* target,
                                          depot_error** error) {
  return edit(request, {target}, error,
              [&](auto& to) { return solve::set_attr(to, "target", target); });
}

depot_code depot_solve_request_set_platform(depot_solve_request* request, const char* platform,
                                            depot_error** error) {
  return edit(request, {platform}, error,
              [&](auto& to) { return solve::set_platform(to, platform); });
}

depot_code depot_solve_request_set_no_cache(depot_solve_request* request, int32_t no_cache,
                                            depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    if (no_cache != 0)
      to.attrs["no-cache"] = "";  // present and empty: every step
    else
      to.attrs.erase("no-cache");
    return {};
  });
}

depot_code depot_solve_request_add_no_cache_filter(depot_solve_request* request, const char* stages,
                                                   depot_error** error) {
  return edit(request, {stages}, error,
              [&](auto& to) { return solve::add_no_cache_filter(to, stages); });
}

depot_code depot_solve_request_set_pull(depot_solve_request* request, int32_t pull,
                                        depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    solve::set_pull(to, pull != 0);
    return {};
  });
}

depot_code depot_solve_request_add_host(depot_solve_request* request, const char* host,
                                        depot_error** error) {
  return edit(request, {host}, error, [&](auto& to) { return solve::add_host(to, host); });
}

depot_code depot_solve_request_set_network(depot_solve_request* request, const char* mode,
                                           depot_error** error) {
  return edit(request, {mode}, error, [&](auto& to) { return solve::set_network(to, mode); });
}

depot_code depot_solve_request_set_shm_size(depot_solve_request* request, const char* size,
                                            depot_error** error) {
  return edit(request, {size}, error, [&](auto& to) { return solve::set_shm_size(to, size); });
}

depot_code depot_solve_request_add_ulimit(depot_solve_request* request, const char* ulimit,
                                          depot_error** error) {
  return edit(request, {ulimit}, error, [&](auto& to) { return solve::add_ulimit(to, ulimit); });
}

depot_code depot_solve_request_add_resource(depot_solve_request* request, const char* resource,
                                            depot_error** error) {
  return edit(request, {resource}, error,
              [&](auto& to) { return solve::add_resource(to, resource); });
}

depot_code depot_solve_request_set_cgroup_parent(depot_solve_request* request, const char* name,
                                                 depot_error** error) {
  return edit(request, {name}, error, [&](auto& to) { return solve::set_cgroup_parent(to, name); });
}

depot_code depot_solve_request_add_entitlement(depot_solve_request* request,
                                               const char* entitlement, depot_error** error) {
  return edit(request, {entitlement}, error,
              [&](auto& to) { return solve::add_entitlement(to, entitlement); });
}

depot_code depot_solve_request_set_annotation(depot_solve_request* request, const char* key,
                                              const char* value, depot_error** error) {
  return edit(request, {key, value}, error,
              [&](auto& to) { return solve::set_annotation(to, key, value); });
}

depot_code depot_solve_request_add_attest(depot_solve_request* request, const char* spec,
                                          depot_error** error) {
  return edit(request, {spec}, error, [&](auto& to) { return solve::add_attest(to, spec); });
}

depot_code depot_solve_request_set_sbom(depot_solve_request* request, const char* sbom,
                                        depot_error** error) {
  return edit(request, {sbom}, error,
              [&](auto& to) { return solve::set_attestation(to, "sbom", sbom); });
}

depot_code depot_solve_request_set_provenance(depot_solve_request* request, const char* provenance,
                                              depot_error** error) {
  return edit(request, {provenance}, error,
              [&](auto& to) { return solve::set_attestation(to, "provenance", provenance); });
}

depot_code depot_solve_request_set_default_attestations(depot_solve_request* request, int32_t on,
                                                        depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    to.default_attestations = on != 0;
    return {};
  });
}
