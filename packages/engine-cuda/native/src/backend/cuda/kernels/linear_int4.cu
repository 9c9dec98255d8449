// The matrix kernels for weights in int4.
#include "linear_launch.cuh"

CHASQUI_LINEAR(int4, Int4)
