// What a build left in the builder's content store, and how its history is filtered.
#include <containerd/services/content/v1/content.pb.h>

#include <string_view>

#include "builder/filters.h"
#include "builder/history.h"
#include "content/digest.h"
#include "wire/methods.h"

namespace depot::builder {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
namespace wire_content = ::containerd::services::content::v1;

Status read_blob(buildkit::Channel& channel, const std::string& digest,
                 const std::function<Status(const std::string& bytes)>& on_bytes, const Ask& how) {
  DEPOT_ASSIGN(content::Digest wanted, content::Digest::parse(digest));
  content::Hasher hasher(wanted.algorithm);
  wire_content::ReadContentRequest request;
  request.set_digest(digest);
  Status status =
      ask(channel, wire::kContentRead, request.SerializeAsString(), how,
          [&](const std::string& message) -> Status {
            wire_content::ReadContentResponse part;
            if (!part.ParseFromString(message))
              return Status(Code::kInternal, Hop::kMachine, "Read: a part cannot be parsed");
            hasher.add({reinterpret_cast<const uint8_t*>(part.data().data()), part.data().size()});
            return part.data().empty() ? Status() : on_bytes(part.data());
          });
  DEPOT_TRY(explain_missing(status, "reading of what a build left", {0, 11}));
  if (hasher.digest() == wanted) return {};
  return Status(Code::kDataLoss, Hop::kMachine,
                "the builder's blob " + digest + " is of digest " + hasher.digest().text());
}

Result<std::string> parse_history_filter(const std::string& filter) {
  DEPOT_ASSIGN(auto fields, split_filter(filter));
  std::string out;
  for (std::string_view field : fields) {
    size_t end = field.find_first_of("=!~<>");
    std::string_view key = field.substr(0, end);
    std::string_view rest = end == std::string_view::npos ? "" : field.substr(end);
    auto bad = [&](const std::string& why) {
      return base::usage_error("history filter '" + std::string(field.substr(0, 100)) + "' " + why);
    };
    bool text = key == "ref" || key == "status" || key == "repository";
    bool time = key == "startedAt" || key == "completedAt" || key == "duration";
    if (filter.empty()) return std::string();
    if (!text && !time)
      return bad("is none").with_hint(
          "ref, status and repository with =, startedAt, completedAt and duration with < or >");
    if (text && (rest.empty() || rest[0] == '<' || rest[0] == '>')) return bad("needs = or !=");
    if (time && (rest.empty() || (rest[0] != '<' && rest[0] != '>')))
      return bad("needs <, <=, > or >=");
    std::string made(field);
    bool single = rest[0] == '=' && (rest.size() < 2 || rest[1] != '=');
    if (text && single)
      made = std::string(key) + (key == "status" ? "==" : "~=") + std::string(rest.substr(1));
    out += (out.empty() ? "" : ",") + made;
  }
  return out;
}

}  // namespace depot::builder
