// The matrix kernels for weights in int8.
#include "linear_launch.cuh"

CHASQUI_LINEAR(int8, Int8)
