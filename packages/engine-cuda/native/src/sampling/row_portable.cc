// Row kernels for any processor: vectors of 4 floats that the compiler cuts to what there is.
#include "row.h"

namespace chasqui {

namespace {

constexpr int kLanes = 4;
typedef float Vec __attribute__((vector_size(16)));
typedef int32_t IVec __attribute__((vector_size(16)));
struct Wide {
  uint64_t lane[kLanes];
};

inline __attribute__((always_inline)) Vec all(float x) { return Vec{x, x, x, x}; }

inline __attribute__((always_inline)) uint32_t bits_at_least(Vec v, Vec bound) {
  const IVec yes = v >= bound;
  return (yes[0] & 1) | (yes[1] & 2) | (yes[2] & 4) | (yes[3] & 8);
}

inline __attribute__((always_inline)) IVec expand(uint32_t bits) {
  const auto word = static_cast<int32_t>(bits & 15);
  return (IVec{word, word, word, word} & IVec{1, 2, 4, 8}) != 0;
}

inline __attribute__((always_inline)) Wide wide(IVec mantissa, IVec shift) {
  Wide w;
  for (int i = 0; i < kLanes; ++i) w.lane[i] = static_cast<uint64_t>(static_cast<uint32_t>(mantissa[i])) << 17 >> shift[i];
  return w;
}

inline __attribute__((always_inline)) Wide add(Wide a, Wide b) {
  for (int i = 0; i < kLanes; ++i) a.lane[i] += b.lane[i];
  return a;
}

inline __attribute__((always_inline)) uint64_t total(Wide w) { return w.lane[0] + w.lane[1] + w.lane[2] + w.lane[3]; }

inline __attribute__((always_inline)) void put(uint64_t* to, Wide w) {
  for (int i = 0; i < kLanes; ++i) to[i] = w.lane[i];
}

#include "row_body.h"

}  // namespace

const RowKernels* portable_row_kernels() {
  static const RowKernels kernels = make("portable");
  return &kernels;
}

}  // namespace chasqui
