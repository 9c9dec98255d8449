// How a stream hands a launch to the CPU that stands in for the GPU.
#pragma once

#include "cpu_device.h"

namespace chasqui::cuda {

// Of the launches that follow, in this process.
void set_cpu_schedule(const shim::Schedule& schedule);

// Runs a launch now. What goes wrong (see shim/cpu_device.h) is kept, and launches after it do nothing.
void run_on_cpu(const Launch& launch, const void* entry, void** arguments);

// What has gone wrong since the last call of this; empty: nothing.
std::string take_cpu_failure();

}  // namespace chasqui::cuda
