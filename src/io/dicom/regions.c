// SPDX-License-Identifier: Apache-2.0
/* SequenceOfUltrasoundRegions (PS3.3, C.8.5.5): where on the screen the images are, and their millimetres. */
#include "io/dicom/dataset.h"

#include <math.h>
#include <string.h>

#define CENTIMETRES 3 /* PhysicalUnits */
#define MM_PER_CM   10.0

enum { FORMAT_2D = 1 };                         /* RegionSpatialFormat */
enum { DATA_TISSUE = 1, DATA_COLOUR_FLOW = 2 }; /* RegionDataType */

/* One item as the file has it. */
typedef struct item {
    int32_t spatial_format, data_type, units[2];
    int64_t corners[4]; /* x0, y0, x1, y1, the last pixels included; -1 = missing */
    double delta[2];
} item;

static sono_status read_long(sono_dicom_file *file, const sono_dicom_element *element, int64_t *out,
                             sono_error *error)
{
    uint8_t bytes[4];
    if (element->n_bytes != sizeof bytes)
        return SONO_FAIL_AT(error, FORMAT, element->at,
                            "%s: DICOM element (%04X,%04X): %u bytes, where a number has 4", file->path,
                            element->tag >> 16, element->tag & 0xffff, element->n_bytes);
    SONO_TRY(sono_dicom_file_read(file, element->value_at, bytes, sizeof bytes, error));
    *out = (int64_t)sono_dicom_u32(bytes);
    return SONO_STATUS_OK;
}

static sono_status read_double(sono_dicom_file *file, const sono_dicom_element *element, double *out,
                               sono_error *error)
{
    uint8_t bytes[8];
    if (element->n_bytes != sizeof bytes)
        return SONO_FAIL_AT(error, FORMAT, element->at,
                            "%s: DICOM element (%04X,%04X): %u bytes, where a number has 8", file->path,
                            element->tag >> 16, element->tag & 0xffff, element->n_bytes);
    SONO_TRY(sono_dicom_file_read(file, element->value_at, bytes, sizeof bytes, error));
    const uint64_t bits = (uint64_t)sono_dicom_u32(bytes) | (uint64_t)sono_dicom_u32(bytes + 4) << 32;
    memcpy(out, &bits, sizeof *out);
    return SONO_STATUS_OK;
}

static sono_status take(sono_dicom_file *file, const sono_dicom_element *element, item *out,
                        sono_error *error)
{
    if (element->tag >> 16 != 0x0018)
        return SONO_STATUS_OK;
    switch (element->tag & 0xffff) {
    case 0x6012:
        return sono_dicom_read_u16(file, element, &out->spatial_format, error);
    case 0x6014:
        return sono_dicom_read_u16(file, element, &out->data_type, error);
    case 0x6018:
    case 0x601a:
    case 0x601c:
    case 0x601e:
        return read_long(file, element, &out->corners[((element->tag & 0xffff) - 0x6018) / 2], error);
    case 0x6024:
    case 0x6026:
        return sono_dicom_read_u16(file, element, &out->units[((element->tag & 0xffff) - 0x6024) / 2], error);
    case 0x602c:
    case 0x602e:
        return read_double(file, element, &out->delta[((element->tag & 0xffff) - 0x602c) / 2], error);
    default:
        return SONO_STATUS_OK;
    }
}

/* Reads the elements of one item and moves behind it. */
static sono_status read_item(sono_dicom_cursor *cursor, uint32_t n_bytes, item *out, sono_error *error)
{
    sono_dicom_cursor inner = *cursor;
    sono_dicom_element element;
    sono_status status;
    *out = (item){.corners = {-1, -1, -1, -1}};
    if (n_bytes != SONO_DICOM_UNDEFINED)
        inner.end = cursor->at + n_bytes;
    while ((status = sono_dicom_next(&inner, &element, error)) == SONO_STATUS_OK) {
        if (element.tag == SONO_DICOM_TAG(0xfffe, 0xe00d))
            break;
        SONO_TRY(take(cursor->file, &element, out, error));
        SONO_TRY(sono_dicom_skip(&inner, &element, error));
    }
    if (status != SONO_STATUS_OK && status != SONO_STATUS_END)
        return status;
    cursor->at = n_bytes == SONO_DICOM_UNDEFINED ? inner.at : inner.end;
    return SONO_STATUS_OK;
}

static int64_t clamp(int64_t value)
{
    return value > INT32_MAX - 1 ? INT32_MAX - 1 : value;
}

/* As the file says; what is no place becomes one of no size. */
static sono_dicom_region region_of(const item *found)
{
    const int64_t *c = found->corners;
    sono_dicom_region region = {
        .is_image = found->spatial_format == FORMAT_2D && found->data_type >= DATA_TISSUE &&
                    found->data_type <= DATA_COLOUR_FLOW,
        .is_tissue = found->spatial_format == FORMAT_2D && found->data_type == DATA_TISSUE};
    if (c[0] >= 0 && c[1] >= 0 && c[2] >= c[0] && c[3] >= c[1])
        region.place =
            (sono_region){(int32_t)clamp(c[0]), (int32_t)clamp(c[1]),
                          (int32_t)(clamp(c[2]) - clamp(c[0]) + 1), (int32_t)(clamp(c[3]) - clamp(c[1]) + 1)};
    for (int axis = 0; axis < 2; axis++)
        if (found->units[0] == CENTIMETRES && found->units[1] == CENTIMETRES && isfinite(found->delta[0]) &&
            isfinite(found->delta[1]) && found->delta[0] != 0 && found->delta[1] != 0)
            region.spacing_mm[axis] = fabs(found->delta[axis]) * MM_PER_CM;
    return region;
}

sono_status sono_dicom_read_regions(const sono_dicom_cursor *cursor, const sono_dicom_element *element,
                                    sono_dicom_dataset *out, sono_error *error)
{
    sono_dicom_cursor inner = *cursor;
    uint32_t n_bytes;
    sono_status status;
    item found;
    inner.at = element->value_at;
    if (element->n_bytes != SONO_DICOM_UNDEFINED)
        inner.end = inner.at + element->n_bytes;
    out->n_regions = 0;
    while ((status = sono_dicom_next_item(&inner, &n_bytes, error)) == SONO_STATUS_OK) {
        if (out->n_regions == SONO_DICOM_MAX_REGIONS)
            return SONO_FAIL_AT(error, LIMIT, inner.at, "%s: more than %d ultrasound regions",
                                cursor->file->path, SONO_DICOM_MAX_REGIONS);
        SONO_TRY(read_item(&inner, n_bytes, &found, error));
        out->regions[out->n_regions++] = region_of(&found);
    }
    return status == SONO_STATUS_END ? SONO_STATUS_OK : status;
}

void sono_dicom_cut_regions(sono_dicom_dataset *dataset)
{
    int32_t n = 0;
    for (int32_t i = 0; i < dataset->n_regions; i++) {
        sono_dicom_region region = dataset->regions[i];
        sono_region *r = &region.place;
        if (r->width_px < 1 || r->x_px >= dataset->width_px || r->y_px >= dataset->height_px)
            continue;
        if (r->width_px > dataset->width_px - r->x_px)
            r->width_px = dataset->width_px - r->x_px;
        if (r->height_px > dataset->height_px - r->y_px)
            r->height_px = dataset->height_px - r->y_px;
        dataset->regions[n++] = region;
    }
    dataset->n_regions = n;
}

const sono_dicom_region *sono_dicom_main_region(const sono_dicom_dataset *dataset)
{
    const sono_dicom_region *best = NULL;
    int64_t best_rank = 0;
    for (int32_t i = 0; i < dataset->n_regions; i++) {
        const sono_dicom_region *region = &dataset->regions[i];
        const int64_t area = (int64_t)region->place.width_px * region->place.height_px;
        const int64_t rank = region->is_tissue ? area + ((int64_t)1 << 40) : area;
        if (region->is_image && rank > best_rank) {
            best = region;
            best_rank = rank;
        }
    }
    return best;
}
