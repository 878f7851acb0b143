# Writes a C++ file that defines ConsoleFiles() (console_files.h) with the content of files.
#
#   cmake -DFILES="PATH;PATH" -DOUTPUT=PATH -P embed.cmake
#
# index.html is served at "/", and every other file at "/console/NAME".
set(type_.html "text/html; charset=utf-8")
set(type_.css "text/css; charset=utf-8")
set(type_.js "text/javascript; charset=utf-8")
set(type_.svg "image/svg+xml")
set(type_.binpb "application/octet-stream")

set(bodies "")
set(rows "")
set(number 0)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  get_filename_component(extension ${file} LAST_EXT)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "${file}: the console has no content type for it")
  endif()
  set(path "/console/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  file(READ ${file} hex HEX)
  file(SHA256 ${file} hash)
  string(SUBSTRING ${hash} 0 32 hash)
  string(REGEX REPLACE "(..)" "\\\\x\\1" text "${hex}")
  string(APPEND bodies "constexpr char kBody${number}[] = \"${text}\";\n")
  string(APPEND rows "    {\"${path}\", \"${type_${extension}}\", {kBody${number}, sizeof(kBody${number}) - 1}, \"\\\"${hash}\\\"\"},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${OUTPUT} "// Made by embed.cmake.

#include \"service/console/console_files.h\"

namespace holdfast::service {
namespace {

${bodies}
constexpr ConsoleFile kFiles[] = {
${rows}};

}  // namespace

std::span<const ConsoleFile> ConsoleFiles() { return kFiles; }

}  // namespace holdfast::service
")
