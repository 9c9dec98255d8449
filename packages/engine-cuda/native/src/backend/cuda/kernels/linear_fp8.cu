// The matrix kernels for weights in fp8.
#include "linear_launch.cuh"

CHASQUI_LINEAR(fp8, Fp8)
