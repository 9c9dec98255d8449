// The matrix kernels for weights in bf16.
#include "linear_launch.cuh"

CHASQUI_LINEAR(bf16, BF16)
