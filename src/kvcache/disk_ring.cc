#include "kvcache/disk_ring.h"

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

namespace baleen::kvcache {
namespace {

constexpr unsigned kDepth = 32;                            // operations in flight
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;  // of one write

/// One operation: a write of `bytes` at `offset`, or the sync of the file when there are none.
struct Piece {
  FileWrite* file = nullptr;
  std::span<const std::byte> bytes;
  std::uint64_t offset = 0;
};

class KernelRing final : public DiskRing {
 public:
  explicit KernelRing(std::function<int(int result)> seen_result) : seen_result_(std::move(seen_result)) {}
  ~KernelRing() override {
    if (ready_) io_uring_queue_exit(&ring_);
  }

  bool Start() {
    if (io_uring_queue_init(kDepth, &ring_, 0) < 0) return false;
    ready_ = true;
    io_uring_probe* const probe = io_uring_get_probe_ring(&ring_);
    const bool complete = probe != nullptr && io_uring_opcode_supported(probe, IORING_OP_WRITE) && io_uring_opcode_supported(probe, IORING_OP_FSYNC);
    if (probe != nullptr) io_uring_free_probe(probe);
    return complete;
  }

  bool WriteFiles(std::span<FileWrite> files) override {
    for (FileWrite& file : files) {
      file.error = 0;
      Cut(file, file.head, 0);
      Cut(file, file.body, file.head.size());
    }
    if (!Run()) return false;
    for (FileWrite& file : files) {
      if (file.error == 0) waiting_.push_back({&file, {}, 0});
    }
    return Run();
  }

 private:
  void Cut(FileWrite& file, std::span<const std::byte> bytes, std::uint64_t offset) {
    for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
      waiting_.push_back({&file, bytes.subspan(at, std::min(kPieceBytes, bytes.size() - at)), offset + at});
    }
  }

  /// Until nothing waits and nothing is in flight.
  bool Run() {
    std::vector<Piece> flying(kDepth);
    std::vector<unsigned> places;
    for (unsigned i = 0; i < kDepth; ++i) places.push_back(i);
    while (!waiting_.empty() || places.size() < kDepth) {
      while (!waiting_.empty() && !places.empty()) {
        io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
        if (entry == nullptr) break;
        flying[places.back()] = waiting_.front();
        waiting_.pop_front();
        Prepare(entry, flying[places.back()], places.back());
        places.pop_back();
      }
      const int submitted = io_uring_submit_and_wait(&ring_, 1);
      if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY) {
        waiting_.clear();
        return false;
      }
      io_uring_cqe* completion = nullptr;
      while (io_uring_peek_cqe(&ring_, &completion) == 0) {
        const auto place = static_cast<unsigned>(io_uring_cqe_get_data64(completion));
        const int result = completion->res;
        io_uring_cqe_seen(&ring_, completion);
        Finish(flying[place], seen_result_ ? seen_result_(result) : result);
        places.push_back(place);
      }
    }
    return true;
  }

  static void Prepare(io_uring_sqe* entry, const Piece& piece, unsigned place) {
    if (piece.bytes.empty()) {
      io_uring_prep_fsync(entry, piece.file->file, 0);
    } else {
      io_uring_prep_write(entry, piece.file->file, piece.bytes.data(), static_cast<unsigned>(piece.bytes.size()), piece.offset);
    }
    io_uring_sqe_set_data64(entry, place);
  }

  void Finish(const Piece& piece, int result) {
    if (result == -EINTR || result == -EAGAIN) {
      waiting_.push_back(piece);
    } else if (result < 0) {
      piece.file->error = -result;
    } else if (!piece.bytes.empty()) {
      const auto done = static_cast<std::size_t>(result);
      if (done == 0) piece.file->error = EIO;
      if (done != 0 && done < piece.bytes.size()) waiting_.push_back({piece.file, piece.bytes.subspan(done), piece.offset + done});
    }
  }

  std::function<int(int result)> seen_result_;
  io_uring ring_{};
  bool ready_ = false;
  std::deque<Piece> waiting_;
};

}  // namespace

std::unique_ptr<DiskRing> DiskRing::Create(std::function<int(int result)> seen_result) {
  auto ring = std::make_unique<KernelRing>(std::move(seen_result));
  if (!ring->Start()) return nullptr;
  return ring;
}

}  // namespace baleen::kvcache
