// See memory.h.
#include "memory.h"

#include <algorithm>

namespace chasqui::cuda {

Status Pool::claim(int64_t bytes, const char* what, Buffer* made) {
  *made = Buffer();
  if (bytes <= 0) return {};
  const int64_t size = rounded(bytes);
  made->bytes_ = bytes;
  if (size > kSmall) {
    Status status = claim_alone(size, what, &made->slab_);
    made->data_ = made->slab_.get();
    if (status.ok()) handed_out_bytes_ += size;
    return status;
  }
  if (slab_ == nullptr || slab_used_ + size > kSlab) {
    std::shared_ptr<void> slab;
    if (Status status = claim_alone(kSlab, what, &slab); !status.ok()) return status;
    slab_ = std::move(slab);
    slab_used_ = 0;
  }
  made->slab_ = slab_;
  made->data_ = static_cast<char*>(slab_.get()) + slab_used_;
  slab_used_ += size;
  handed_out_bytes_ += size;
  return {};
}

Status Pool::claim_alone(int64_t bytes, const char* what, std::shared_ptr<void>* made) {
  void* memory = nullptr;
  Status status = runtime_.claim(bytes, what, &memory);
  if (!status.ok()) return status;
  Runtime* runtime = &runtime_;
  *made = std::shared_ptr<void>(memory, [runtime](void* claimed) { runtime->release(claimed); });
  claimed_bytes_ += bytes;
  return {};
}

Status Pinned::claim(Runtime& runtime, int64_t bytes, const char* what) {
  release();
  if (bytes <= 0) return {};
  Status status = runtime.claim_pinned(bytes, what, &data_);
  if (!status.ok()) return status;
  runtime_ = &runtime;
  bytes_ = bytes;
  return {};
}

void Pinned::release() {
  if (data_ != nullptr && runtime_ != nullptr) runtime_->release_pinned(data_);
  data_ = nullptr;
  bytes_ = 0;
}

Upload::~Upload() {
  (void)finish();
  for (Piece& piece : pieces_) {
    if (piece.copied != nullptr) runtime_.release(piece.copied);
  }
}

Status Upload::run(void* device, int64_t units, int64_t unit_bytes, const Fill& fill) {
  const int64_t at_once = std::max<int64_t>(1, kPieceBytes / unit_bytes);
  for (int64_t first = 0; first < units; first += at_once) {
    const int64_t count = std::min(at_once, units - first);
    Piece& piece = pieces_[next_];
    next_ ^= 1;
    if (Status status = ready(&piece, count * unit_bytes); !status.ok()) return status;
    fill(first, count, piece.memory.as());
    char* to = static_cast<char*>(device) + first * unit_bytes;
    if (Status status = runtime_.upload(to, piece.memory.as(), count * unit_bytes); !status.ok()) return status;
    if (Status status = runtime_.mark(piece.copied); !status.ok()) return status;
    piece.is_copying = true;
  }
  return {};
}

Status Upload::ready(Piece* piece, int64_t bytes) {
  if (piece->copied == nullptr) {
    if (Status status = runtime_.event(&piece->copied); !status.ok()) return status;
  }
  if (piece->is_copying) {
    if (Status status = runtime_.passed(piece->copied); !status.ok()) return status;
    piece->is_copying = false;
  }
  if (piece->memory.bytes() >= bytes) return {};
  return piece->memory.claim(runtime_, std::max(bytes, kPieceBytes), "the upload of weights");
}

Status Upload::finish() {
  Status result;
  for (Piece& piece : pieces_) {
    if (piece.is_copying) {
      if (Status status = runtime_.passed(piece.copied); !status.ok()) result = status;
      piece.is_copying = false;
    }
    piece.memory.release();
  }
  return result;
}

}  // namespace chasqui::cuda
