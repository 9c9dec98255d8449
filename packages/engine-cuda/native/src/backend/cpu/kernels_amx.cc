#include "kernels.h"
namespace chasqui::cpu {
const Kernels* amx_kernels() { return nullptr; }
}  // namespace chasqui::cpu
