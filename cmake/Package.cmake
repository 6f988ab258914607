# What `cmake --install` installs: the program, the bundled model, and the library as one header, one static archive, a CMake package
# (find_package(Baleen), target baleen::baleen) and a pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# collect_modules(TARGET OUT): TARGET and every static library of this project that it links, each once.
function(collect_modules target out)
  set(found ${${out}})
  if(NOT target IN_LIST found)
    list(APPEND found ${target})
    get_target_property(links ${target} LINK_LIBRARIES)
    foreach(link IN LISTS links)
      if(link MATCHES "^(baleen_|xgrammar_core)")
        collect_modules(${link} found)
      endif()
    endforeach()
  endif()
  set(${out} ${found} PARENT_SCOPE)
endfunction()

set(modules "")
collect_modules(baleen_library modules)
list(TRANSFORM modules REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
add_library(baleen_archive STATIC ${objects})
set_target_properties(baleen_archive PROPERTIES OUTPUT_NAME baleen EXPORT_NAME baleen LINKER_LANGUAGE CXX)
target_compile_features(baleen_archive INTERFACE cxx_std_20)
target_include_directories(baleen_archive INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# A static archive leaves these to whoever links it; system libraries by name, as pkg-config's targets cannot be exported.
target_link_libraries(baleen_archive PRIVATE Threads::Threads spdlog::spdlog ${xxhash_LIBRARIES} ${hwloc_LIBRARIES} ${liburing_LIBRARIES})

install(TARGETS baleen RUNTIME)
install(TARGETS baleen_archive EXPORT BaleenTargets ARCHIVE)
install(FILES ${CMAKE_SOURCE_DIR}/include/baleen/baleen.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/baleen)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/plankton DESTINATION ${CMAKE_INSTALL_DATADIR}/baleen/models PATTERN reference EXCLUDE)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/Baleen)
set(models_folder ${CMAKE_INSTALL_DATADIR}/baleen/models)
install(EXPORT BaleenTargets NAMESPACE baleen:: DESTINATION ${package_folder})
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/BaleenConfig.cmake.in ${CMAKE_BINARY_DIR}/package/BaleenConfig.cmake
  INSTALL_DESTINATION ${package_folder} PATH_VARS models_folder)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/BaleenConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/BaleenConfig.cmake ${CMAKE_BINARY_DIR}/package/BaleenConfigVersion.cmake DESTINATION ${package_folder})

set(system_packages "libxxhash, hwloc")
if(liburing_FOUND)
  string(APPEND system_packages ", liburing")
endif()
file(RELATIVE_PATH prefix_above ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${CMAKE_SOURCE_DIR}/cmake/baleen.pc.in ${CMAKE_BINARY_DIR}/package/baleen.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/package/baleen.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
