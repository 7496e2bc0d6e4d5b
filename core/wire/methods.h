// Full method names of every service that libdepot calls or serves, as they stand in the ":path" of
// an HTTP/2 request and in the URL of a Connect call.
//
// The messages themselves are generated from proto/ and included by their proto path, for example
// "moby/buildkit/v1/control.pb.h". They use the protobuf-lite runtime: no descriptors, no
// reflection, no text or JSON form. Messages are plain values: no threads, no locks.
#pragma once

#include <string_view>

namespace depot::wire {

// moby.buildkit.v1.Control: called on the daemon.
inline constexpr std::string_view kControlDiskUsage = "/moby.buildkit.v1.Control/DiskUsage";
inline constexpr std::string_view kControlPrune = "/moby.buildkit.v1.Control/Prune";
inline constexpr std::string_view kControlSolve = "/moby.buildkit.v1.Control/Solve";
inline constexpr std::string_view kControlStatus = "/moby.buildkit.v1.Control/Status";
inline constexpr std::string_view kControlSession = "/moby.buildkit.v1.Control/Session";
inline constexpr std::string_view kControlListWorkers = "/moby.buildkit.v1.Control/ListWorkers";
inline constexpr std::string_view kControlInfo = "/moby.buildkit.v1.Control/Info";
inline constexpr std::string_view kControlListenBuildHistory =
    "/moby.buildkit.v1.Control/ListenBuildHistory";
inline constexpr std::string_view kControlUpdateBuildHistory =
    "/moby.buildkit.v1.Control/UpdateBuildHistory";

// moby.buildkit.v1.frontend.LLBBridge: called on the daemon, with the build's ref as metadata.
inline constexpr std::string_view kBridgeResolveImageConfig =
    "/moby.buildkit.v1.frontend.LLBBridge/ResolveImageConfig";
inline constexpr std::string_view kBridgeResolveSourceMeta =
    "/moby.buildkit.v1.frontend.LLBBridge/ResolveSourceMeta";
inline constexpr std::string_view kBridgeSolve = "/moby.buildkit.v1.frontend.LLBBridge/Solve";
inline constexpr std::string_view kBridgeReadFile = "/moby.buildkit.v1.frontend.LLBBridge/ReadFile";
inline constexpr std::string_view kBridgeReadDir = "/moby.buildkit.v1.frontend.LLBBridge/ReadDir";
inline constexpr std::string_view kBridgeStatFile = "/moby.buildkit.v1.frontend.LLBBridge/StatFile";
inline constexpr std::string_view kBridgeEvaluate = "/moby.buildkit.v1.frontend.LLBBridge/Evaluate";
inline constexpr std::string_view kBridgePing = "/moby.buildkit.v1.frontend.LLBBridge/Ping";
inline constexpr std::string_view kBridgeReturn = "/moby.buildkit.v1.frontend.LLBBridge/Return";
inline constexpr std::string_view kBridgeInputs = "/moby.buildkit.v1.frontend.LLBBridge/Inputs";
inline constexpr std::string_view kBridgeNewContainer =
    "/moby.buildkit.v1.frontend.LLBBridge/NewContainer";
inline constexpr std::string_view kBridgeReleaseContainer =
    "/moby.buildkit.v1.frontend.LLBBridge/ReleaseContainer";
inline constexpr std::string_view kBridgeExecProcess =
    "/moby.buildkit.v1.frontend.LLBBridge/ExecProcess";
inline constexpr std::string_view kBridgeReadFileContainer =
    "/moby.buildkit.v1.frontend.LLBBridge/ReadFileContainer";
inline constexpr std::string_view kBridgeReadDirContainer =
    "/moby.buildkit.v1.frontend.LLBBridge/ReadDirContainer";
inline constexpr std::string_view kBridgeStatFileContainer =
    "/moby.buildkit.v1.frontend.LLBBridge/StatFileContainer";
inline constexpr std::string_view kBridgeWarn = "/moby.buildkit.v1.frontend.LLBBridge/Warn";

// Session services: the daemon calls them on us.
inline constexpr std::string_view kFileSyncDiffCopy = "/moby.filesync.v1.FileSync/DiffCopy";
inline constexpr std::string_view kFileSyncTarStream = "/moby.filesync.v1.FileSync/TarStream";
inline constexpr std::string_view kFileSendDiffCopy = "/moby.filesync.v1.FileSend/DiffCopy";
inline constexpr std::string_view kAuthCredentials = "/moby.filesync.v1.Auth/Credentials";
inline constexpr std::string_view kAuthFetchToken = "/moby.filesync.v1.Auth/FetchToken";
inline constexpr std::string_view kAuthGetTokenAuthority =
    "/moby.filesync.v1.Auth/GetTokenAuthority";
inline constexpr std::string_view kAuthVerifyTokenAuthority =
    "/moby.filesync.v1.Auth/VerifyTokenAuthority";
inline constexpr std::string_view kSecretsGetSecret = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
inline constexpr std::string_view kSshCheckAgent = "/moby.sshforward.v1.SSH/CheckAgent";
inline constexpr std::string_view kSshForwardAgent = "/moby.sshforward.v1.SSH/ForwardAgent";
inline constexpr std::string_view kUploadPull = "/moby.upload.v1.Upload/Pull";
inline constexpr std::string_view kExporterFindExporters =
    "/moby.exporter.v1.Exporter/FindExporters";
inline constexpr std::string_view kExporterFinalizeExport =
    "/moby.exporter.v1.Exporter/FinalizeExport";

// Both ways.
inline constexpr std::string_view kHealthCheck = "/grpc.health.v1.Health/Check";
inline constexpr std::string_view kHealthList = "/grpc.health.v1.Health/List";
inline constexpr std::string_view kHealthWatch = "/grpc.health.v1.Health/Watch";
inline constexpr std::string_view kContentInfo = "/containerd.services.content.v1.Content/Info";
inline constexpr std::string_view kContentUpdate = "/containerd.services.content.v1.Content/Update";
inline constexpr std::string_view kContentList = "/containerd.services.content.v1.Content/List";
inline constexpr std::string_view kContentDelete = "/containerd.services.content.v1.Content/Delete";
inline constexpr std::string_view kContentRead = "/containerd.services.content.v1.Content/Read";
inline constexpr std::string_view kContentStatus = "/containerd.services.content.v1.Content/Status";
inline constexpr std::string_view kContentListStatuses =
    "/containerd.services.content.v1.Content/ListStatuses";
inline constexpr std::string_view kContentWrite = "/containerd.services.content.v1.Content/Write";
inline constexpr std::string_view kContentAbort = "/containerd.services.content.v1.Content/Abort";

// Depot's API.
inline constexpr std::string_view kBuildCreateBuild = "/depot.cli.v1.BuildService/CreateBuild";
inline constexpr std::string_view kBuildGetBuild = "/depot.cli.v1.BuildService/GetBuild";
inline constexpr std::string_view kBuildFinishBuild = "/depot.cli.v1.BuildService/FinishBuild";
inline constexpr std::string_view kBuildGetBuildKitConnection =
    "/depot.cli.v1.BuildService/GetBuildKitConnection";
inline constexpr std::string_view kBuildReportBuildHealth =
    "/depot.cli.v1.BuildService/ReportBuildHealth";
inline constexpr std::string_view kBuildReportTimings = "/depot.cli.v1.BuildService/ReportTimings";
inline constexpr std::string_view kBuildReportStatus = "/depot.cli.v1.BuildService/ReportStatus";
inline constexpr std::string_view kBuildReportStatusStream =
    "/depot.cli.v1.BuildService/ReportStatusStream";
inline constexpr std::string_view kBuildReportBuildContext =
    "/depot.cli.v1.BuildService/ReportBuildContext";
inline constexpr std::string_view kBuildListBuilds = "/depot.cli.v1.BuildService/ListBuilds";
inline constexpr std::string_view kBuildGetPullInfo = "/depot.cli.v1.BuildService/GetPullInfo";
inline constexpr std::string_view kBuildGetPullToken = "/depot.cli.v1.BuildService/GetPullToken";
inline constexpr std::string_view kPushStartPush = "/depot.cli.v1.PushService/StartPush";
inline constexpr std::string_view kPushFinishPush = "/depot.cli.v1.PushService/FinishPush";

}  // namespace depot::wire
