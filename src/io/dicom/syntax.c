// SPDX-License-Identifier: Apache-2.0
#include "io/dicom/syntax.h"

#include <stddef.h>
#include <string.h>

#define ROOT        "1.2.840.10008.1.2"
#define UNPACK_JPEG "unpack it with `dcmdjpeg` (Debian: dcmtk)"
#define UNPACK_LS   "unpack it with `dcmdjpls` (Debian: dcmtk)"
#define UNPACK_J2K  "unpack it with `gdcmconv --raw` (Debian: libgdcm-tools)"
#define TAKE_VIDEO  "take the video out of it and pass that"

static const sono_dicom_syntax table[] = {
    {ROOT, "Implicit VR Little Endian", SONO_DICOM_PLAIN, 1, NULL},
    {ROOT ".1", "Explicit VR Little Endian", SONO_DICOM_PLAIN, 0, NULL},
    {ROOT ".4.50", "JPEG Baseline", SONO_DICOM_JPEG, 0, NULL},
    {ROOT ".4.51", "JPEG Extended", SONO_DICOM_JPEG, 0, NULL},
    {ROOT ".1.99", "Deflated Explicit VR Little Endian", SONO_DICOM_OTHER, 0,
     "unpack it with `dcmconv +te` (Debian: dcmtk)"},
    {ROOT ".2", "Explicit VR Big Endian", SONO_DICOM_OTHER, 0,
     "turn it round with `dcmconv +te` (Debian: dcmtk)"},
    {ROOT ".4.57", "JPEG Lossless", SONO_DICOM_OTHER, 0, UNPACK_JPEG},
    {ROOT ".4.70", "JPEG Lossless, first-order prediction", SONO_DICOM_OTHER, 0, UNPACK_JPEG},
    {ROOT ".4.80", "JPEG-LS Lossless", SONO_DICOM_OTHER, 0, UNPACK_LS},
    {ROOT ".4.81", "JPEG-LS Near-lossless", SONO_DICOM_OTHER, 0, UNPACK_LS},
    {ROOT ".4.90", "JPEG 2000 Lossless", SONO_DICOM_OTHER, 0, UNPACK_J2K},
    {ROOT ".4.91", "JPEG 2000", SONO_DICOM_OTHER, 0, UNPACK_J2K},
    {ROOT ".4.100", "MPEG2 Main Profile, Main Level", SONO_DICOM_OTHER, 0, TAKE_VIDEO},
    {ROOT ".4.101", "MPEG2 Main Profile, High Level", SONO_DICOM_OTHER, 0, TAKE_VIDEO},
    {ROOT ".4.102", "MPEG-4 AVC/H.264", SONO_DICOM_OTHER, 0, TAKE_VIDEO},
    {ROOT ".4.103", "MPEG-4 AVC/H.264 (BD-compatible)", SONO_DICOM_OTHER, 0, TAKE_VIDEO},
    {ROOT ".4.104", "MPEG-4 AVC/H.264 High 4.2 (2D)", SONO_DICOM_OTHER, 0, TAKE_VIDEO},
    {ROOT ".4.105", "MPEG-4 AVC/H.264 High 4.2 (3D)", SONO_DICOM_OTHER, 0, TAKE_VIDEO},
    {ROOT ".4.106", "MPEG-4 AVC/H.264 Stereo", SONO_DICOM_OTHER, 0, TAKE_VIDEO},
    {ROOT ".4.107", "HEVC/H.265 Main Profile", SONO_DICOM_OTHER, 0, TAKE_VIDEO},
    {ROOT ".4.108", "HEVC/H.265 Main 10 Profile", SONO_DICOM_OTHER, 0, TAKE_VIDEO},
    {ROOT ".4.201", "High-Throughput JPEG 2000 Lossless", SONO_DICOM_OTHER, 0, UNPACK_J2K},
    {ROOT ".4.202", "High-Throughput JPEG 2000 with RPCL", SONO_DICOM_OTHER, 0, UNPACK_J2K},
    {ROOT ".4.203", "High-Throughput JPEG 2000", SONO_DICOM_OTHER, 0, UNPACK_J2K},
    {ROOT ".5", "RLE Lossless", SONO_DICOM_OTHER, 0, "unpack it with `dcmdrle` (Debian: dcmtk)"},
};

const sono_dicom_syntax *sono_dicom_find_syntax(const char *uid)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(table[i].uid, uid))
            return &table[i];
    return NULL;
}
