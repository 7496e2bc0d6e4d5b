// What the flags of `docker buildx build` say about how to build, checked and put into a request.
//
// Each takes a value as the flag is spelled, and fails with a usage error for what cannot be right.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "buildkit/control.h"
#include "solve/request.h"

namespace depot::solve {

base::Status set_attr(Request& request, const std::string& key, const std::string& value);
base::Status set_build_arg(Request& request, const std::string& name, const std::string& value);
base::Status set_label(Request& request, const std::string& key, const std::string& value);
// --platform: a comma list.
base::Status set_platform(Request& request, const std::string& list);
// --no-cache-filter: stages, a comma list.
base::Status add_no_cache_filter(Request& request, const std::string& stages);
// --pull
void set_pull(Request& request, bool pull);
// --add-host: "host:ip", "host=ip"; several in a comma list; the ip may be "host-gateway".
base::Status add_host(Request& request, const std::string& spec);
// --network: default, none, host.
base::Status set_network(Request& request, const std::string& mode);
// --shm-size: "64m".
base::Status set_shm_size(Request& request, const std::string& size);
// --ulimit: "nofile=1024:2048". The last of a name wins.
base::Status add_ulimit(Request& request, const std::string& spec);
// --resource: "memory=2g". The last of a name wins.
base::Status add_resource(Request& request, const std::string& spec);
// --cgroup-parent
base::Status set_cgroup_parent(Request& request, const std::string& name);
// --allow
base::Status add_entitlement(Request& request, const std::string& entitlement);
// --annotation KEY=VALUE, where the key may say for what: "index,manifest[linux/amd64]:key".
base::Status set_annotation(Request& request, const std::string& key, const std::string& value);
// --attest: "type=sbom,generator=image".
base::Status add_attest(Request& request, const std::string& spec);
// --sbom, --provenance: "true", "false" or attributes.
base::Status set_attestation(Request& request, const std::string& type, const std::string& value);

// Puts what was collected into the attributes of the frontend and of the exports. Part of
// prepare(); all but the hosts, when one of them is for resolve_hosts().
base::Status apply_attributes(Request& request);
// Whether a host stands for an address that only the builder knows.
bool needs_host_gateway(const Request& request);
// The address that "host-gateway" stands for, as one of the workers says it; "" when none does.
std::string host_gateway(const std::vector<buildkit::Worker>& workers);
// Puts the hosts of a prepared request into its attributes; `gateway` is what host_gateway() gave.
base::Status resolve_hosts(Request& request, const std::string& gateway);

}  // namespace depot::solve
