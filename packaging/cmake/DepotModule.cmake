# depot_module(NAME SOURCES ... [DEPS module ...] [LINKS library ...])
#   A folder below core/ is a module is a target depot::NAME. DEPS are the modules it may include;
#   tests/layout holds the includes against this list. LINKS are outside libraries.
# depot_test(NAME SOURCES ... [DEPS module ...] [LINKS ...])
#   A GoogleTest program, registered with ctest case by case. Its label is its folder below tests/
#   ("unit", ...), and the target tests_<label> builds all of one label.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 99)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
find_program(DEPOT_CCACHE ccache)
if(DEPOT_CCACHE)
  # Objects are the same wherever the tree and its build directory are, so every build shares them; what
  # the last says is what precompiled headers need.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros ${DEPOT_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
if(DEPOT_SANITIZE)
  add_compile_options(-fsanitize=${DEPOT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${DEPOT_SANITIZE})
endif()

# So that the linker can put the code that a build runs together (DEPOT_ORDER, in capi/).
if(NOT DEPOT_SANITIZE)
  add_compile_options(-ffunction-sections)
endif()

# DEPOT_STATIC=FOLDER: the library that needs libc and libm alone. Every library is then looked for as
# an archive, in this folder (made by packaging/static) before the system's. The headers are the
# system's: the archives were built from the same versions.
if(DEPOT_STATIC)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
  list(PREPEND CMAKE_LIBRARY_PATH ${DEPOT_STATIC})
  list(APPEND PKG_CONFIG_ARGN --define-variable=libdir=${DEPOT_STATIC})
  set(OPENSSL_USE_STATIC_LIBS ON)
  add_compile_options(-fdata-sections)
  add_link_options(-static-libstdc++ -static-libgcc -Wl,--gc-sections -Wl,-z,text)
endif()

add_library(depot_warnings INTERFACE)
target_compile_options(depot_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow
  # GCC 12 sees overlapping copies in std::string that are not there (its bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>
  $<$<BOOL:${DEPOT_WERROR}>:-Werror>)

include(Precompile)

function(depot_module name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS;LINKS" ${ARGN})
  add_library(depot_${name} STATIC ${A_SOURCES})
  add_library(depot::${name} ALIAS depot_${name})
  target_include_directories(depot_${name} PUBLIC ${CMAKE_SOURCE_DIR}/core)
  list(TRANSFORM A_DEPS PREPEND depot::)
  target_link_libraries(depot_${name} PUBLIC ${A_DEPS} ${A_LINKS} PRIVATE depot_warnings)
  depot_precompiled(depot_${name} library)
endfunction()

function(depot_test name)
  cmake_parse_arguments(A "" "PREFIX" "SOURCES;DEPS;LINKS" ${ARGN})
  foreach(dep ${A_DEPS})
    if(NOT TARGET depot::${dep})
      return()  # only with DEPOT_ONLY: the module is not part of this build
    endif()
  endforeach()
  list(TRANSFORM A_DEPS PREPEND depot::)
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE ${A_DEPS} ${A_LINKS} GTest::gmock GTest::gtest_main depot_warnings)
  depot_precompiled(${name} program)
  file(RELATIVE_PATH label ${CMAKE_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
  string(REGEX REPLACE "/.*" "" label ${label})
  if(NOT TARGET tests_${label})
    add_custom_target(tests_${label})
  endif()
  add_dependencies(tests_${label} ${name})
  include(GoogleTest)
  gtest_discover_tests(${name} TEST_PREFIX "${A_PREFIX}" DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120 LABELS ${label})
endfunction()
