// What the two programs for machines with a GPU share: which device this is, models of real shapes without files, and time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/backend/cuda/device_runtime.h"
#include "src/model/config.h"
#include "src/model/weights.h"

namespace chasqui::gpu {

extern bool checks_large;  // of gpu_check

void print_device(cuda::Runtime& runtime);

// "8b", "70b", "1b", "3b", "tiny"; fails with the list of names.
Status shape_named(const std::string& name, ModelConfig* config);

// Views that say only shapes: for a backend that makes its weights itself.
Weights hollow_weights(const ModelConfig& config);

double seconds();
double median(std::vector<double> values);

}  // namespace chasqui::gpu
