# SPDX-License-Identifier: Apache-2.0
# Turns files into C arrays: cmake -DOUTPUT=FILE.c -DFILES=a;b -DTABLE=sono_web -P SonoWebAssets.cmake makes sono_web_assets[],
# sono_web_n_assets. Each file goes by its own name.
set(rows "")
set(arrays "")
set(n 0)
foreach(file IN LISTS FILES)
    get_filename_component(name ${file} NAME)
    file(READ ${file} hex HEX)
    file(SHA256 ${file} hash)
    string(SUBSTRING ${hash} 0 16 tag)
    string(LENGTH "${hex}" n_digits)
    math(EXPR n_bytes "${n_digits} / 2")
    # Lines of 16 bytes, for compilers' and people's sake.
    set(digits "[0-9a-f][0-9a-f]")
    string(REPEAT "${digits}" 16 line)
    string(REGEX REPLACE "(${line})" "\\1\n" bytes "${hex}")
    string(REGEX REPLACE "(${digits})" "0x\\1," bytes "${bytes}")
    string(APPEND arrays "static const unsigned char bytes_${n}[] = {\n    ${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", \"${tag}\", \"${hash}\", bytes_${n}, ${n_bytes}},\n")
    math(EXPR n "${n} + 1")
endforeach()
file(WRITE ${OUTPUT}.part "// SPDX-License-Identifier: Apache-2.0
/* Made by cmake/SonoWebAssets.cmake. */
#include \"web/assets.h\"

${arrays}
const sono_web_asset_file ${TABLE}_assets[] = {
${rows}};
const size_t ${TABLE}_n_assets = ${n};
")
file(RENAME ${OUTPUT}.part ${OUTPUT})
