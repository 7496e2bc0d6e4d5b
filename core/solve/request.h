// What to build and where to put it, as a value.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/secret.h"
#include "base/status.h"
#include "content/store.h"
#include "filesync/tree_writer.h"
#include "filesync/virtual_tree.h"
#include "load/target.h"
#include "solve/secrets.h"
#include "solve/ssh.h"

namespace depot::solve {

// Bytes of an export to the caller; empty: the end of a complete export. Non-zero stops the solve.
using ExportWriter = std::function<int32_t(std::span<const uint8_t>)>;

class Stream;

// How long a call waits for what it reads.
struct Waiting {
  base::Cancel cancel = base::Cancel::never();
  std::chrono::milliseconds timeout{0};  // 0: as long as it takes
};

struct Export {
  std::string type;  // "image", "oci", "docker", "tar", "local", "cacheonly"
  std::map<std::string, std::string> attrs;
  std::string file;  // oci, docker, tar: destination; local, and with tar=false: a directory
  std::shared_ptr<ExportWriter> writer;            // the same, to a callback
  std::optional<filesync::TreeOptions> tree = {};  // local, by prepare(): how it is written
  std::shared_ptr<content::Store> layout = {};  // oci, docker with tar=false, by prepare(): where
  std::optional<load::Target> load = {};        // docker, by prepare(): the store it goes into
  bool apart = false;  // the store knows layers: the image's index comes first, then what it lacks
};

struct RegistryLogin {
  std::string host;
  std::string username;
  base::Secret password;
};

// A callback of the caller's: the login for a registry, or none. Non-zero stops the solve.
using LoginReader =
    std::function<int32_t(const std::string& host, std::optional<RegistryLogin>& out)>;
// Whether a registry's password may go to that token server. Non-zero: yes.
using RealmReader = std::function<int32_t(const std::string& host, const std::string& realm)>;

// "host-gateway" as the ip: the address that the builder's worker calls so.
struct HostMapping {
  std::string host, ip;
};

// One cache to import from, or to export to.
struct CacheEntry {
  std::string type;                          // "registry", "local", "inline", "gha", "s3", "azblob"
  std::map<std::string, std::string> attrs;  // by wire name
  std::map<std::string, base::Secret> secrets;  // the attributes that are keys and tokens
};

// A local cache whose index is to name what the build leaves in it.
struct LocalCache {
  std::shared_ptr<content::Store> store;
  std::string tag;
  bool reset = false;
  bool ignore_error = false;
};

// What a gateway is asked to make, and the file of it that is read.
struct Fetch {
  std::string definition;  // pb.Definition, serialized
  std::string file;
  int64_t limit = 0;  // bytes; one more is read, so that one that is too large is seen
};

struct Request {
  std::string frontend = "dockerfile.v0";
  std::map<std::string, std::string> attrs;   // frontend attributes by wire name
  std::map<std::string, std::string> locals;  // dir name -> directory
  // dir name -> files that the caller gives: alone, or laid over the directory of that name
  std::map<std::string, std::shared_ptr<filesync::VirtualTree>> files;
  std::string dockerfile;                      // as it was named; prepare() says where that is
  std::optional<std::string> dockerfile_text;  // instead of a file
  std::string dockerfile_url;                  // the same, for the builder to fetch (fetch.h)
  std::optional<std::string> ignore_text;      // instead of any .dockerignore
  std::shared_ptr<Stream> stream;              // instead of a context: an archive or a Dockerfile
  std::shared_ptr<Stream> dockerfile_stream;   // instead of a Dockerfile
  std::map<std::string, std::shared_ptr<Stream>> uploads;  // by prepare(): what the builder fetches
  std::vector<Export> exports;
  std::vector<std::string> tags;  // canonical
  bool push = false;
  bool load = false;  // into an image store here
  std::vector<RegistryLogin> logins;
  std::shared_ptr<LoginReader> login_reader;  // asked for the other hosts
  // Token servers that may have the password of a registry which nothing else ties them to.
  std::set<std::pair<std::string, std::string>> realms;
  std::shared_ptr<RealmReader> realm_reader;  // asked for the others
  std::optional<std::string> docker_config;   // directory; "": none; unset: the environment's
  std::vector<SshInput> ssh;                  // ids are unique
  std::vector<SecretInput> secrets;           // ids are unique
  bool record_context = false;                // list in the result what local dirs sent
  std::map<std::string, std::string> build_contexts;  // `--build-context`, by canonical name
  std::vector<CacheEntry> cache_from;
  std::vector<CacheEntry> cache_to;
  // "min", "max": the result has what attestations the builder made, and the provenance as docker
  // buildx gives it in its metadata file; "": not asked for.
  std::string record_provenance;
  bool internal = false;       // keep the build out of the daemon's history
  std::optional<Fetch> fetch;  // instead of a frontend's work

  // Made by prepare().
  std::map<std::string, std::shared_ptr<content::Store>> stores;  // content store id -> layout
  std::vector<LocalCache> local_caches;
  std::vector<std::string> warnings;  // what was left out, for the log of a solve

  // What attributes.h collects, for prepare() to put where it belongs.
  std::vector<HostMapping> hosts;
  std::vector<std::string> no_cache_filter;         // stages
  std::map<std::string, std::string> ulimits;       // name -> "soft:hard"
  std::map<std::string, std::string> annotations;   // attribute of an export -> value
  std::map<std::string, std::string> attestations;  // type -> attributes, or "disabled=true"
  bool default_attestations = false;                // buildx's, for what `attestations` has not
  std::vector<std::string> entitlements;            // may be used by the build
  std::string call;                                 // what is asked instead of building; "": build

  // Kept in Depot's registry, under the build's id and these tags. Tags alone say so.
  bool save = false;
  std::vector<std::string> save_tags;
  std::vector<std::string> saved_as;  // by the build: canonical names to push to for that
  bool part = false;  // of a whole (parts.h) that has said what its images are called

  // The context and the Dockerfile in it (or elsewhere), as `docker buildx build CONTEXT -f` takes
  // them: a directory, a Git reference, an http(s) URL, "-" for standard input; also an archive or
  // a pipe.
  base::Status set_context(const std::string& context, const std::string& dockerfile);
  // What a function gives: an archive, or the text of a Dockerfile.
  base::Status set_context_stream(std::shared_ptr<Stream> from, const std::string& dockerfile);
  // No directory: the context is the files that add_file() gave it, and the Dockerfile one of them
  // unless it lies elsewhere.
  base::Status set_virtual_context(const std::string& dockerfile);
  // A file of the local dir `name`, "context" for the build context.
  base::Status add_file(const std::string& name, const std::string& path,
                        filesync::VirtualFile file);
  // `--output`: "type=oci,dest=out.tar". Returns the export's index.
  base::Result<size_t> add_output(const std::string& spec);
  base::Result<size_t> add_export(const std::string& type);
  base::Status set_export_attr(size_t index, const std::string& key, const std::string& value);
  base::Status add_tag(const std::string& name);
  base::Status add_save_tag(const std::string& tag);
  // Both are host[:port].
  base::Status allow_realm(const std::string& host, const std::string& realm);
  base::Status add_secret(SecretInput secret);
  // `--secret`: "id=npm,src=token.txt".
  base::Status add_secret(const std::string& spec);
  // Keys go to those that the id has already.
  base::Status add_ssh(SshInput agent);
  // `--ssh`: "default", "id=/path/to/agent.sock", "id=key-file".
  base::Status add_ssh(const std::string& spec);
  // `--build-context NAME=VALUE`.
  base::Status add_build_context(const std::string& name, const std::string& value);
  // "min", "max", or "disabled" and "" for none.
  base::Status set_record_provenance(const std::string& detail);
  // `--cache-from`, `--cache-to`: "type=local,src=dir"; references alone are caches in a registry.
  base::Status add_cache_from(std::string_view spec);
  base::Status add_cache_to(std::string_view spec);
};

// A frontend that does not know `cap` must refuse the request instead of misreading it.
void add_frontend_cap(Request& request, const std::string& cap);

// A request made ready for the wire: everything that can be known to be wrong is known by now.
//  - tags and push become attributes of the image exports, one is added if need be
//  - an image that is saved is pushed for that, under `tags` only if it was to be pushed anyway
//  - load and docker exports without a destination get the image store they go into
//  - SOURCE_DATE_EPOCH is passed on to the exporters
//  - directories exist and are readable, exports have somewhere to go
//  - streams have begun, and are archives or texts; this waits for them
//  - agents' sockets are there and keys can be used
//  - secrets have their variables' values or files that are there
//  - local caches are opened; keys and addresses of caches that the environment knows are filled in
base::Result<Request> prepare(Request request, const base::Environment& environment = {},
                              const Waiting& waiting = {});

// "app" -> "docker.io/library/app:latest"; a digest is kept. Usage errors for what no registry
// takes.
base::Result<std::string> canonical_name(const std::string& name);

// "v1": what stands behind the colon. A usage error for what cannot.
base::Status check_tag(const std::string& tag);

}  // namespace depot::solve
