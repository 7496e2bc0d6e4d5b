#include "solve/layer_sender.h"

#include <containerd/services/content/v1/content.pb.h>

#include "wire/methods.h"

namespace depot::solve {

using base::Code;
using base::Hop;
using base::Status;
namespace content = ::containerd::services::content::v1;

void LayerSender::start() {
  auto told = [weak = weak_from_this(), channel = channel_](const Status& status,
                                                            void (*then)(LayerSender&, Status)) {
    channel->loop().post([weak, status, then] {
      if (auto self = weak.lock()) then(*self, status);
    });
  };
  Status opened = sink_->open([told](const Status& status) {
    told(status, [](LayerSender& self, Status outcome) {
      outcome.ok() ? self.resume() : self.fail(outcome);
    });
  });
  if (!opened.ok()) return fail(opened);
  write(load::archive_head(image_, names_));
  next_layer();
}

// Its fullness is minded where it counts, in the layers' bytes.
void LayerSender::write(const std::string& bytes) {
  (void)sink_->write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

void LayerSender::next_layer() {
  while (next_ < image_.layers.size() && !sent_.insert(image_.layers[next_].digest).second) ++next_;
  if (next_ == image_.layers.size()) {
    write(load::archive_tail());
    sink_->finish([self = shared_from_this()](const Status& status) {
      self->channel_->loop().post([self, status] {
        if (auto done = std::exchange(self->done_, nullptr)) done(status);
      });
    });
    return;
  }
  const load::Layer& layer = image_.layers[next_];
  write(load::layer_head(layer));
  got_ = 0;
  content::ReadContentRequest request;
  request.set_digest(layer.digest);
  buildkit::CallOptions options;
  options.method = wire::kContentRead;
  options.request = request.SerializeAsString();
  buildkit::CallObserver observer;
  observer.on_message = [self = shared_from_this()](const buildkit::Message& message) {
    return self->take(message);
  };
  observer.on_done = [self = shared_from_this()](const Status& status) {
    self->layer_done(status);
  };
  call_ = channel_->start(std::move(options), std::move(observer));
}

bool LayerSender::take(const buildkit::Message& message) {
  if (!done_) return true;
  content::ReadContentResponse piece;
  if (!piece.ParseFromString(message.flatten())) {
    fail(Status(Code::kInternal, Hop::kMachine, "a piece of a layer cannot be parsed"));
    return true;
  }
  got_ += static_cast<int64_t>(piece.data().size());
  if (got_ > image_.layers[next_].size) {
    fail(Status(Code::kDataLoss, Hop::kMachine, "a layer is longer than the manifest says"));
    return true;
  }
  return sink_->write({reinterpret_cast<const uint8_t*>(piece.data().data()), piece.data().size()});
}

void LayerSender::resume() {
  if (call_) call_->resume_reading();
}

void LayerSender::layer_done(const Status& status) {
  call_ = nullptr;
  if (!done_) return;
  const load::Layer& layer = image_.layers[next_];
  if (!status.ok()) return fail(status.with_prefix("cannot read layer " + layer.digest));
  if (got_ != layer.size)
    return fail(
        Status(Code::kDataLoss, Hop::kMachine, "a layer is shorter than the manifest says"));
  write(load::layer_tail(layer));
  ++next_;
  next_layer();
}

void LayerSender::fail(const Status& why) {
  auto done = std::exchange(done_, nullptr);
  if (!done) return;
  sink_->abort();
  if (call_) call_->cancel();
  done(why);
}

}  // namespace depot::solve
