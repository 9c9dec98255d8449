// The state behind hopper_words.h: phases, boxes under way, products under way.
#include <algorithm>
#include <cstring>

#include "../../../checkpoint/quant.h"
#include "../../../model/precision.h"
#include "block.h"

namespace chasqui::cuda::shim {

namespace {

// Eight bytes of shared memory, as the hardware's are its own business.
struct Phases {
  uint32_t arrivals : 12;  // of a phase
  uint32_t missing : 12;   // of this one
  uint32_t parity : 1;     // of this one
  uint32_t is_made : 7;
  int32_t bytes;           // expected and not there yet
};
static_assert(sizeof(Phases) == 8);
constexpr uint32_t kMade = 0x55;

Phases read(const uint64_t* barrier) {
  Phases phases;
  std::memcpy(&phases, barrier, sizeof phases);
  return phases;
}

// A matrix descriptor, field by field as the manual has them.
struct Matrix {
  uint32_t start, leading, stride, base_offset, mode;
};
Matrix matrix_of(uint64_t descriptor) {
  const auto field = [&](int bit) { return static_cast<uint32_t>(descriptor >> bit & 0x3fff) << 4; };
  return {field(0), field(16), field(32), static_cast<uint32_t>(descriptor >> 49 & 7), static_cast<uint32_t>(descriptor >> 62)};
}

// Swizzle<B, 4, 3> of CuTe's notation: B bits from bit 7 on are added to those from bit 4 on.
uint32_t turned(uint32_t address, uint32_t mode) {
  if (mode == 0) return address;
  const uint32_t bits = 4 - mode;  // 1: 128 bytes, 2: 64, 3: 32
  return address ^ (address >> 7 & ((1u << bits) - 1)) << 4;
}

uint32_t row_bytes(uint32_t mode) { return mode == 0 ? 16 : 256u >> mode; }

// Element (row, k) with rows along k: eight rows to an atom.
uint32_t place_along(const Matrix& m, uint32_t row, uint32_t byte) {
  return turned(m.start + row / 8 * m.stride + row % 8 * row_bytes(m.mode) + byte, m.mode);
}
// Element (column, k) of 2 bytes with rows across: a row is one k, 64 columns wide at 128 bytes.
uint32_t place_across(const Matrix& m, uint32_t column, uint32_t k) {
  const uint32_t wide = row_bytes(m.mode) / 2;
  return turned(m.start + column / wide * m.leading + k / 8 * m.stride + k % 8 * row_bytes(m.mode) + column % wide * 2, m.mode);
}

}  // namespace

void Block::phases_init(uint64_t* barrier, uint32_t arrivals) {
  Phases phases = {};
  phases.arrivals = phases.missing = arrivals;
  phases.is_made = kMade;
  std::memcpy(barrier, &phases, sizeof phases);
}

void Block::settle_phase(uint64_t* barrier, int32_t arrivals, int32_t bytes) {
  Phases phases = read(barrier);
  if (phases.is_made != kMade) fail("A barrier with phases was used before it was made.");
  if (arrivals > static_cast<int32_t>(phases.missing)) fail("More threads arrive at a barrier with phases than it waits for.");
  phases.missing -= static_cast<uint32_t>(arrivals);
  phases.bytes += bytes;
  if (phases.missing == 0 && phases.bytes == 0) {
    phases.parity ^= 1;
    phases.missing = phases.arrivals;
    for (Fiber& fiber : fibers_) {
      if (fiber.waits != Wait::kPhase || fiber.phases != barrier) continue;
      fiber.waits = Wait::kNone;
      warps_[fiber.index / kLanes].ready |= 1u << fiber.index % kLanes;
    }
  }
  std::memcpy(barrier, &phases, sizeof phases);
}

void Block::phase_arrive(uint64_t* barrier, int32_t bytes) { settle_phase(barrier, 1, bytes); }

void Block::phase_wait(uint64_t* barrier, uint32_t parity, const void* place) {
  if (is_faulty(Fault::kNoPhase, place)) return;
  if (read(barrier).is_made != kMade) fail("A barrier with phases was used before it was made.");
  while (read(barrier).parity == parity) {
    current_->phases = barrier;
    leave(Wait::kPhase);
  }
}

void Block::copy_box(const PendingBox& box) {
  if (schedule_.copies == Copies::kEager) {
    land(box);
  } else {
    boxes_.push_back(box);
  }
}

// The latest moment at which a box may come: when nobody can go on without one.
bool Block::land_one() {
  if (boxes_.empty()) return false;
  const auto which = static_cast<std::ptrdiff_t>(schedule_.order == Order::kShuffled ? pick(static_cast<uint32_t>(boxes_.size())) : 0);
  const PendingBox box = boxes_[static_cast<size_t>(which)];
  boxes_.erase(boxes_.begin() + which);
  land(box);
  return true;
}

void Block::land(const PendingBox& box) {
  const TensorShape& shape = box.shape;
  const uint32_t width = row_bytes_of(shape.swizzle);
  const uint32_t start = kSharedBase + static_cast<uint32_t>(static_cast<uint8_t*>(box.to) - shared_start_);
  if (start % 128 != 0) fail("A tensor copy goes to a place that is not aligned to 128 bytes.");
  const auto bytes = static_cast<int32_t>(width) * shape.box_rows;
  if (start + static_cast<uint32_t>(bytes) > kSharedBase + shared_bytes_) fail("A tensor copy ends behind the block's shared memory.");
  const uint32_t mode = static_cast<uint32_t>(shape.swizzle);
  for (int32_t r = 0; r < shape.box_rows; r++) {
    for (uint32_t byte = 0; byte < width; byte += static_cast<uint32_t>(shape.element_bytes)) {
      const int64_t row = int64_t{box.row} + r, column = int64_t{box.column} + byte / static_cast<uint32_t>(shape.element_bytes);
      const bool inside = row >= 0 && row < shape.rows && column >= 0 && column < shape.columns;
      uint8_t* to = shared_start_ + (turned(start + static_cast<uint32_t>(r) * width + byte, mode) - kSharedBase);
      const auto* from = static_cast<const uint8_t*>(shape.base) + row * shape.pitch + column * shape.element_bytes;
      for (int32_t i = 0; i < shape.element_bytes; i++) to[i] = inside ? from[i] : uint8_t{0};
    }
  }
  settle_phase(box.barrier, 0, -bytes);
}

void Block::sync_some(uint32_t id, uint32_t threads, const void* place) {
  if (is_faulty(Fault::kNoBarrier, place)) return;
  if (++at_some_[id] == threads) {
    at_some_[id] = 0;
    for (Fiber& fiber : fibers_) {
      if (fiber.waits != Wait::kSome || fiber.some != id) continue;
      fiber.waits = Wait::kNone;
      warps_[fiber.index / kLanes].ready |= 1u << fiber.index % kLanes;
    }
    return;
  }
  current_->some = id;
  leave(Wait::kSome);
}

void Block::products_begin() { current_->may_multiply = true; }

void Block::start_product(const Product& product) {
  Fiber& fiber = *current_;
  if (!fiber.may_multiply) fail("A product of a warpgroup was started without a fence before it.");
  Product mine = product;
  mine.group = fiber.product_group;
  if (schedule_.copies == Copies::kEager) {
    multiply(mine);
  } else {
    fiber.products.push_back(mine);
  }
}

void Block::products_wait(int32_t groups, const void* place) {
  const int32_t left = is_faulty(Fault::kShortWait, place) ? groups + 1 : groups;
  Fiber& fiber = *current_;
  size_t done = 0;
  for (; done < fiber.products.size() && fiber.products[done].group < fiber.product_group - left; done++) multiply(fiber.products[done]);
  fiber.products.erase(fiber.products.begin(), fiber.products.begin() + static_cast<std::ptrdiff_t>(done));
  fiber.may_multiply = false;
}

// This lane's share: rows g and g + 8 of its warp's sixteen, columns 2 t and 2 t + 1 of every eight.
void Block::multiply(const Product& product) {
  const bool fp8 = product.elements == Elements::kE4M3;
  const uint32_t k = fp8 ? 32 : 16;
  const uint32_t lane = current_->index % kLanes, warp = current_->index / kLanes % 4, g = lane / 4, t = lane % 4;
  const Matrix a = matrix_of(product.a), b = matrix_of(product.b);
  const auto at = [&](uint32_t address) { return shared_start_ + (address - kSharedBase); };
  const auto value = [&](uint32_t address) {
    if (fp8) return e4m3_to_float(*at(address));
    uint16_t bits;
    std::memcpy(&bits, at(address), 2);
    return bf16_to_float(bits);
  };
  float rows[2][32];
  for (uint32_t side = 0; side < 2; side++) {
    for (uint32_t i = 0; i < k; i++) {
      rows[side][i] = product.has_rows ? product.rows[side][i] : value(place_along(a, warp * 16 + side * 8 + g, i * (fp8 ? 1 : 2)));
    }
  }
  for (int32_t tile = 0; tile < product.n / 8; tile++) {
    for (uint32_t e = 0; e < 2; e++) {
      const uint32_t column = static_cast<uint32_t>(tile) * 8 + t * 2 + e;
      float sums[2] = {};
      for (uint32_t i = 0; i < k; i++) {
        const float element = value(product.across ? place_across(b, column, i) : place_along(b, column, i * (fp8 ? 1 : 2)));
        sums[0] += rows[0][i] * element;
        sums[1] += rows[1][i] * element;
      }
      float* d = product.d + tile * 4 + e;
      d[0] = product.more ? d[0] + sums[0] : sums[0];
      d[2] = product.more ? d[2] + sums[1] : sums[1];
    }
  }
}

}  // namespace chasqui::cuda::shim
