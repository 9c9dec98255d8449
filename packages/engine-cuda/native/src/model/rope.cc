// Frequencies in double: at position 131,072 a float angle would be off by 1e-2 radians.
#include "rope.h"

#include <cmath>

namespace chasqui {

namespace {

double scaled(double frequency, const RopeScaling& rope) {
  const double turns = 6.283185307179586476925;
  const double original = static_cast<double>(rope.original_context);
  const double wavelength = turns / frequency;
  if (wavelength < original / rope.high_freq_factor) return frequency;
  if (wavelength > original / rope.low_freq_factor) return frequency / rope.factor;
  const double kept =
      (original / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return (1.0 - kept) * frequency / rope.factor + kept * frequency;
}

}  // namespace

std::vector<double> rope_inverse_frequencies(const ModelConfig& config) {
  std::vector<double> frequencies(static_cast<size_t>(config.head_dim / 2));
  for (size_t j = 0; j < frequencies.size(); j++) {
    const double frequency = std::pow(config.rope_theta, -2.0 * static_cast<double>(j) / config.head_dim);
    frequencies[j] = config.rope.factor == 1.0 ? frequency : scaled(frequency, config.rope);
  }
  return frequencies;
}

}  // namespace chasqui
