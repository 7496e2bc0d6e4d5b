// The blocking calls of the C API, each as a Call.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "handles.h"
#include "request.h"

namespace depot::python {

using CancelArgument = std::shared_ptr<Cancel>;

std::unique_ptr<Call> new_build(const Client& client, const Options& options,
                                std::vector<std::string> tags, bool save,
                                std::vector<std::string> save_tags, int64_t timeout_ms,
                                const CancelArgument& cancel);
std::unique_ptr<Call> finish(const Build& build, int32_t outcome, const std::string& message);
std::unique_ptr<Call> acquire(const Build& build, const std::string& platform, int64_t timeout_ms,
                              const CancelArgument& cancel);
std::unique_ptr<Call> connect(const Machine& machine, int64_t timeout_ms,
                              const CancelArgument& cancel);
std::unique_ptr<Call> solve(const Machine& machine, std::shared_ptr<Request> request,
                            py::object on_status, int64_t timeout_ms, const CancelArgument& cancel);
// The whole flow.
std::unique_ptr<Call> build(const Client& client, const Options& options,
                            std::vector<std::string> tags, const std::string& platform,
                            std::shared_ptr<Request> request, py::object on_status,
                            int64_t timeout_ms, const CancelArgument& cancel);

}  // namespace depot::python
