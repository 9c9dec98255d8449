// How far results are from what they should be, as a share of it.
#pragma once

#include <cmath>
#include <vector>

// Root mean square of the differences over that of `want`; 1e9 where the counts differ.
template <typename Got, typename Want>
double relative_rms(const std::vector<Got>& got, const std::vector<Want>& want) {
  if (got.size() != want.size()) return 1e9;
  double difference = 0, size = 0;
  for (size_t i = 0; i < got.size(); i++) {
    const double wanted = static_cast<double>(want[i]), apart = static_cast<double>(got[i]) - wanted;
    difference += apart * apart;
    size += wanted * wanted;
  }
  return std::sqrt(difference / size);
}
