# Under a sanitizer everything is compiled once more, and two thirds of that is parsing the same headers
# of libraries. There they are parsed once, for the library's code and for programs. Not in other builds:
# what a file uses it has to include, and the compilers of those builds say so.
#   depot_precompiled(TARGET library|program)
set(depot_precompiled_std algorithm array atomic charconv chrono condition_variable cstring deque filesystem fstream
  functional future map memory mutex optional set span sstream string string_view thread unordered_map utility vector)
set(depot_precompiled_wire google/protobuf/message_lite.h google/protobuf/repeated_field.h
  google/protobuf/generated_message_util.h google/protobuf/arena.h)

function(depot_precompile kind)
  set(source ${CMAKE_BINARY_DIR}/precompiled/${kind}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "int main() { return 0; }\n")
  list(TRANSFORM ARGN REPLACE "(.+)" "<\\1>" OUTPUT_VARIABLE headers)
  if(kind STREQUAL program)
    add_executable(depot_precompiled_${kind} EXCLUDE_FROM_ALL ${source})
  else()
    add_library(depot_precompiled_${kind} OBJECT EXCLUDE_FROM_ALL ${source})
  endif()
  target_precompile_headers(depot_precompiled_${kind} PRIVATE ${headers})
  target_link_libraries(depot_precompiled_${kind} PRIVATE depot_warnings)
endfunction()

function(depot_precompiled target kind)
  if(DEPOT_SANITIZE)
    target_precompile_headers(${target} REUSE_FROM depot_precompiled_${kind})
  endif()
endfunction()

if(DEPOT_SANITIZE)
  set(CMAKE_PCH_WARN_INVALID OFF)  # where flags differ, a file is parsed as everywhere else
  add_compile_options(-pthread)  # some have it from their libraries, and all have to agree
  depot_precompile(library ${depot_precompiled_std} nlohmann/json.hpp ${depot_precompiled_wire})
  depot_precompile(program ${depot_precompiled_std} nlohmann/json.hpp ${depot_precompiled_wire} gtest/gtest.h
    gmock/gmock.h)
  target_link_libraries(depot_precompiled_program PRIVATE GTest::gmock)
endif()
