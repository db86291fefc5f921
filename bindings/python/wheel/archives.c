// SPDX-License-Identifier: Apache-2.0
/*
 * What Debian's archives ask for beyond each other, for a wheel that links them.
 *
 * Codecs of libtiff that take the places of its own, so that these are not linked: JBIG-KIT is under the GPL,
 * LERC brings the C++ run time, and libsonoseg refuses WebP in a TIFF by itself. A TIFF that is packed with
 * one of them is refused by name.
 *
 * stderr: the archives are made for executables and expect it in the file that they are linked into. It is
 * the C library's, under the same name, and seen from here only.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <tiffio.h>

FILE *stderr;

__attribute__((constructor)) static void find_stderr(void)
{
    FILE **real = dlsym(RTLD_DEFAULT, "stderr");
    stderr = real ? *real : NULL;
}

int TIFFInitJBIG(TIFF *tiff, int scheme);
int TIFFInitLERC(TIFF *tiff, int scheme);
int TIFFInitWebP(TIFF *tiff, int scheme);

static int refuse(TIFF *tiff, const char *name)
{
    TIFFErrorExt(TIFFClientdata(tiff), TIFFFileName(tiff), "%s compression is not in this build", name);
    return 0;
}

int TIFFInitJBIG(TIFF *tiff, int scheme)
{
    (void)scheme;
    return refuse(tiff, "JBIG");
}

int TIFFInitLERC(TIFF *tiff, int scheme)
{
    (void)scheme;
    return refuse(tiff, "LERC");
}

int TIFFInitWebP(TIFF *tiff, int scheme)
{
    (void)scheme;
    return refuse(tiff, "WebP");
}
