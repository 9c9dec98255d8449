// The adapters of an engine by name. A name stands for a number from 1 on, which requests carry and which is part of the
// prefix cache's key; numbers are not used twice, so what is cached under one never fits another.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "../model/config.h"
#include "../status.h"
#include "engine.h"

namespace chasqui {

// May be used from any thread.
class AdapterNames {
 public:
  // Reads the folder on the caller's thread; the model takes it in between two passes.
  Status load(Engine& engine, const ModelConfig& config, const std::string& name, const std::string& folder);
  // kBusy while requests use it.
  Status unload(Engine& engine, const std::string& name);
  // The number of an adapter that is loaded.
  Status find(const std::string& name, int64_t* id) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int32_t> ids_;  // 0 while one is being loaded
  int32_t last_ = 0;
};

}  // namespace chasqui
