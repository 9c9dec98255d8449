# The CUDA backend in two forms, and the one for builds without it. Every program links exactly one of
#
#   chasqui_no_cuda     make_cuda_backend() refuses
#   chasqui_cuda        kernels by nvcc, runtime by cudart            (-DCHASQUI_CUDA=ON, in a build folder of its own)
#   chasqui_cuda_shim   the same backend and kernels by the C++ compiler on a CPU that stands in for a GPU (else)
#
# all three being object libraries, because they and chasqui_native refer to each other.
option(CHASQUI_CUDA "Build the CUDA backend with nvcc" OFF)
set(CHASQUI_CUDA_TARGETS "80;89;90a" CACHE STRING "Chips to compile for; PTX for later ones is added")

set(CUDA_FOLDER native/src/backend/cuda)
file(GLOB CUDA_HOST_SOURCES CONFIGURE_DEPENDS ${CUDA_FOLDER}/*.cc)
file(GLOB CUDA_HOST_KERNELS CONFIGURE_DEPENDS ${CUDA_FOLDER}/kernels/*.cc)
list(FILTER CUDA_HOST_SOURCES EXCLUDE REGEX "/(cuda_absent|device_runtime_[a-z]+|shim_[a-z]+)\\.cc$")
list(APPEND CUDA_HOST_SOURCES ${CUDA_HOST_KERNELS})
file(GLOB CUDA_KERNELS CONFIGURE_DEPENDS ${CUDA_FOLDER}/kernels/*.cu)

add_library(chasqui_no_cuda OBJECT ${CUDA_FOLDER}/cuda_absent.cc)

if(CHASQUI_CUDA)
  set(CMAKE_CUDA_ARCHITECTURES OFF)
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
  # Not every CMake knows which flag a newer nvcc wants.
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(GENCODE "")
  foreach(chip ${CHASQUI_CUDA_TARGETS})
    list(APPEND GENCODE "-gencode=arch=compute_${chip},code=sm_${chip}")
  endforeach()
  list(APPEND GENCODE "-gencode=arch=compute_90,code=compute_90")
  # ptxas reports registers, shared memory and spills of each kernel; scripts/check-ptxas.mjs holds them to the budget.
  set(CUDA_FLAGS -O3 ${GENCODE} --resource-usage -Xcompiler=-fno-strict-aliasing --threads=2)
  add_library(chasqui_cuda OBJECT ${CUDA_HOST_SOURCES} ${CUDA_FOLDER}/device_runtime_gpu.cc ${CUDA_KERNELS})
  target_compile_options(chasqui_cuda PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${CUDA_FLAGS}>")
  target_link_libraries(chasqui_cuda PUBLIC CUDA::cudart_static)
  # No empty word where no launcher is set: it would be run as a command.
  set(KEEP_PTXAS ${CMAKE_CURRENT_SOURCE_DIR}/scripts/keep-ptxas.sh ${CMAKE_CUDA_COMPILER_LAUNCHER})
  set_target_properties(chasqui_cuda PROPERTIES
                        CUDA_COMPILER_LAUNCHER "${KEEP_PTXAS}"
                        CUDA_ARCHITECTURES OFF CUDA_RUNTIME_LIBRARY Static
                        CUDA_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
  set(CHASQUI_BACKEND chasqui_cuda)
  set(CHASQUI_DEVICE chasqui_cuda)
else()
  set_source_files_properties(${CUDA_KERNELS} PROPERTIES LANGUAGE CXX)
  file(GLOB CUDA_SHIM CONFIGURE_DEPENDS ${CUDA_FOLDER}/shim/*.cc)
  add_library(chasqui_cuda_shim OBJECT EXCLUDE_FROM_ALL ${CUDA_HOST_SOURCES} ${CUDA_FOLDER}/device_runtime_shim.cc
              ${CUDA_FOLDER}/shim_stream.cc ${CUDA_KERNELS} ${CUDA_SHIM})
  target_compile_definitions(chasqui_cuda_shim PUBLIC CHASQUI_SHIM)
  target_link_libraries(chasqui_cuda_shim PUBLIC Threads::Threads)
  set(CHASQUI_BACKEND chasqui_no_cuda)
  set(CHASQUI_DEVICE chasqui_cuda_shim)
endif()

# gpu_check: every test of the CUDA backend and its kernels in one program, on whatever device this build has. The backend
# on the shim is checked by the same program, so that the program itself is proven before a GPU sees it.
file(GLOB GPU_CHECKS CONFIGURE_DEPENDS native/test/cuda_*_test.cc native/gpu/check_*.cc)
file(GLOB GPU_BENCH CONFIGURE_DEPENDS native/gpu/bench_*.cc native/gpu/bench_*.cu)
file(GLOB GPU_SUPPORT CONFIGURE_DEPENDS native/test/*.cc)
list(FILTER GPU_SUPPORT EXCLUDE REGEX "/(make_[a-z0-9_]+|[a-z0-9_]+_test)\\.cc$")
list(APPEND GPU_SUPPORT native/gpu/shapes.cc)
if(NOT CHASQUI_CUDA)
  file(GLOB GPU_KERNELS CONFIGURE_DEPENDS native/gpu/*.cu)
  set_source_files_properties(${GPU_KERNELS} PROPERTIES LANGUAGE CXX)
endif()
function(gpu_program name)
  add_executable(${name} EXCLUDE_FROM_ALL ${ARGN} ${GPU_SUPPORT})
  target_link_libraries(${name} PRIVATE chasqui_native ${CHASQUI_DEVICE})
  target_include_directories(${name} PRIVATE native)
  if(CHASQUI_CUDA)
    target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${CUDA_FLAGS}>")
    set_target_properties(${name} PROPERTIES CUDA_ARCHITECTURES OFF CUDA_RUNTIME_LIBRARY Static)
  endif()
  target_compile_definitions(${name} PRIVATE CHECK_NO_MAIN CHASQUI_PACKAGES="${CMAKE_CURRENT_SOURCE_DIR}/..")
endfunction()
gpu_program(gpu_check native/gpu/gpu_check.cc ${GPU_CHECKS})
gpu_program(gpu_bench native/gpu/gpu_bench.cc ${GPU_BENCH})
if(CHASQUI_TESTS AND NOT CHASQUI_CUDA AND NOT CHASQUI_SANITIZE)
  set_target_properties(gpu_check gpu_bench PROPERTIES EXCLUDE_FROM_ALL OFF)
  add_test(NAME gpu_check_slow COMMAND gpu_check CONFIGURATIONS slow)
  # Every path of the program, on a model that a CPU can run: cases, formats, a prompt, kernel tables.
  add_test(NAME gpu_bench_slow COMMAND gpu_bench --model tiny --weights int4 --head int8 --kv fp8 --context 40 --batch 2 --kernels
           CONFIGURATIONS slow)
  add_test(NAME gpu_bench_prefill_slow COMMAND gpu_bench --model tiny --context 40 --prefill CONFIGURATIONS slow)
endif()
