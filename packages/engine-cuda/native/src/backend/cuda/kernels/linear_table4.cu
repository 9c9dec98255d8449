// The matrix kernels for weights in table4.
#include "linear_launch.cuh"

CHASQUI_LINEAR(table4, Table4)
