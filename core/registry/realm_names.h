// Which names belong together: what realm.cc knows about registries and domains, as tables. Pure
// functions over lower-case host names without a port; private to the module.
#pragma once

#include <string>
#include <string_view>

namespace depot::registry {

// A registry whose operator is known to have its token server there (Docker Hub, GitLab, ...).
bool known_pair(std::string_view registry, std::string_view realm);

// The part of a name that one owner registered: the last two labels, or three under country domains
// like co.uk. Empty when the name has none that could be trusted: an address, a single label, or a
// name under a domain that is rented out to strangers.
std::string registrable_domain(std::string_view host);

}  // namespace depot::registry
