// The command line form of a random checkpoint's shape, shared by make_checkpoint and by tests whose cases come from
// files.
//   [--layers N] [--dim N] [--ffn N] [--heads N] [--kv-heads N] [--head-dim N] [--vocab N] [--context N]
//   [--dtype bf16|f16|f32] [--norm-dtype bf16|f16|f32] [--rope-factor X] [--rope-theta X] [--original-context N]
//   [--tied] [--shards N] [--seed N]
#pragma once

#include <string>
#include <vector>

#include "random_checkpoint.h"
#include "src/status.h"

namespace chasqui {

// What is not given stays as it is in `shape`. An unknown option or a wrong value is a kBadRequest that names it.
Status parse_checkpoint_options(const std::vector<std::string>& options, RandomCheckpoint* shape);

}  // namespace chasqui
