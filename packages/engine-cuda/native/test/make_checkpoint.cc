// Writes a random Llama checkpoint from the command line, for tests and benches in other languages:
//   make_checkpoint FOLDER [options of checkpoint_options.h]
// The folder's parent must exist. A shape whose config our own reader refuses ends with its message and code 1.
#include <cstdio>

#include "checkpoint_options.h"
#include "random_checkpoint.h"
#include "src/model/config.h"

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: make_checkpoint FOLDER [options: see the top of native/test/checkpoint_options.h]\n");
    return 2;
  }
  chasqui::RandomCheckpoint shape;
  chasqui::ModelConfig config;
  chasqui::Status status = chasqui::parse_checkpoint_options({argv + 2, argv + argc}, &shape);
  if (status.ok()) status = chasqui::write_random_checkpoint(argv[1], shape);
  if (status.ok()) status = chasqui::read_config(argv[1], &config);
  if (status.ok()) return 0;
  std::fprintf(stderr, "make_checkpoint: %s %s\n", status.detail.c_str(), status.fix.c_str());
  return 1;
}
