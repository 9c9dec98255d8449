// Writes a quantised form of a plain checkpoint, for tests in other languages:
//   make_packed SOURCE FORMAT FOLDER     (formats: packed_checkpoint.h; the folder exists)
//   make_packed                          (lists the formats)
#include <cstdio>

#include "packed_checkpoint.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    for (const std::string& name : chasqui::packed_formats()) std::printf("%s\n", name.c_str());
    return 0;
  }
  const chasqui::Status status = chasqui::write_packed_checkpoint(argv[1], argv[2], argv[3]);
  if (!status.ok()) std::fprintf(stderr, "%s %s\n", status.detail.c_str(), status.fix.c_str());
  return status.ok() ? 0 : 1;
}
