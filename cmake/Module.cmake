# add_module(NAME [LINKS ...] [EXTERNAL ...] [TESTS_LINK ...])
#
# One folder of src/: a static library baleen_NAME from every *.cc beside the CMakeLists.txt (and in the folders named by
# SUBFOLDERS), and one test program NAME_test from every *_test.cc. LINKS names folders below; EXTERNAL names libraries
# of the system; TESTS_LINK names what only the tests need.
function(add_module name)
  cmake_parse_arguments(M "" "" "SUBFOLDERS;LINKS;EXTERNAL;TESTS_LINK" ${ARGN})
  set(globs ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(sub IN LISTS M_SUBFOLDERS)
    list(APPEND globs ${CMAKE_CURRENT_SOURCE_DIR}/${sub}/*.cc)
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${globs})
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")

  add_library(baleen_${name} STATIC ${sources})
  target_include_directories(baleen_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM M_LINKS PREPEND baleen_)
  target_link_libraries(baleen_${name} PUBLIC ${M_LINKS} PRIVATE ${M_EXTERNAL})

  if(BALEEN_TESTS AND tests)
    list(TRANSFORM M_TESTS_LINK PREPEND baleen_)
    add_test_program(${name}_test SOURCES ${tests} LINKS baleen_${name} ${M_TESTS_LINK} ${M_EXTERNAL})
  endif()
endfunction()

# add_test_program(NAME SOURCES ... LINKS ... [TIMEOUT seconds])
function(add_test_program name)
  cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;LINKS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 600)
  endif()
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE ${T_LINKS} GTest::gmock_main GTest::gtest rapidcheck Threads::Threads)
  target_compile_definitions(${name} PRIVATE BALEEN_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT})
endfunction()
