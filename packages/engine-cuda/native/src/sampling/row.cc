// Which row kernels run here.
#include "row.h"

namespace chasqui {

const RowKernels* best_row_kernels() {
  if (const RowKernels* kernels = avx512_row_kernels()) return kernels;
  if (const RowKernels* kernels = avx2_row_kernels()) return kernels;
  return portable_row_kernels();
}

}  // namespace chasqui
