#include "kvcache/disk_ring.h"

namespace baleen::kvcache {

// Built without liburing (install liburing-dev and configure again to have it).
std::unique_ptr<DiskRing> DiskRing::Create(std::function<int(int result)>) { return nullptr; }

}  // namespace baleen::kvcache
