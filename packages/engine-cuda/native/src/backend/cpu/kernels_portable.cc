// Kernels for any processor: vectors of 8 floats that the compiler cuts to what there is.
#include "kernels.h"

#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are never passed outside this unit

namespace chasqui::cpu {

namespace {

constexpr int kLanes = 8;
constexpr int kTileRows = 2;
constexpr int kAttendRows = 2;
typedef float Vec __attribute__((vector_size(32)));
typedef int32_t IVec __attribute__((vector_size(32)));
typedef uint16_t HalfVec __attribute__((vector_size(16)));

inline __attribute__((always_inline)) Vec all(float x) { return Vec{x, x, x, x, x, x, x, x}; }

inline __attribute__((always_inline)) Vec upper_halves(IVec pairs) { return (Vec)(pairs & static_cast<int32_t>(0xffff0000)); }

inline __attribute__((always_inline)) Vec fused(Vec a, Vec b, Vec c) { return a * b + c; }

// Halves without hardware help: exponent and significand move into place and a multiplication by 2^112 sets the bias and
// makes subnormals right. Infinities and NaNs, which no checkpoint should hold, are kept as such.
inline __attribute__((always_inline)) Vec load_half(const uint16_t* p) {
  HalfVec bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  const IVec wide = __builtin_convertvector(bits, IVec);
  const IVec magnitude = wide & 0x7fff;
  const Vec scaled = (Vec)(magnitude << 13) * all(5.192296858534828e33f);
  const IVec special = (magnitude >= 0x7c00) & 0x7f800000;
  return (Vec)((IVec)scaled | special | ((wide & 0x8000) << 16));
}

#include "kernels_body.h"

Kernels make() {
  Kernels kernels{};
  kernels.name = "portable";
  add_linear(&kernels);
  add_attention(&kernels);
  complete(&kernels);
  return kernels;
}

}  // namespace

const Kernels* portable_kernels() {
  static const Kernels kernels = make();
  return &kernels;
}

}  // namespace chasqui::cpu
