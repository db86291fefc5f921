// SPDX-License-Identifier: Apache-2.0
/* Lists of entries of one size. Layouts: Documents/Protocol/{labelmeta,imagemeta,videometa,point,trajectory,
 * trackingdata,qtrackingdata}.md of the reference library (@ 94244fe). No two types have entries of one size.
 */
#include "igtl/lists.h"
#include "igtl/wire.h"

#define LABEL_BYTES           116
#define IMAGE_META_BYTES      260
#define VIDEO_META_BYTES      322
#define LANDMARK_BYTES        136
#define TRAJECTORY_BYTES      150
#define TOOL_BYTES            70
#define QUATERNION_TOOL_BYTES 50

static sono_igtl_status decode(const uint8_t *bytes, size_t n_bytes, size_t entry_bytes, sono_igtl_list *out,
                               sono_igtl_fault *fault)
{
    if (n_bytes % entry_bytes)
        return WIRE_MALFORMED(n_bytes - n_bytes % entry_bytes, "a list whose last entry is cut off");
    *out = (sono_igtl_list){bytes, n_bytes / entry_bytes, entry_bytes};
    return SONO_IGTL_OK;
}

static const uint8_t *entry_of(const sono_igtl_list *list, size_t index, size_t entry_bytes)
{
    return list->entry_bytes == entry_bytes && index < list->n ? list->entries + index * entry_bytes : NULL;
}

/* Room of one entry, all 0. */
static uint8_t *room_for(sono_igtl_writer *writer, size_t entry_bytes)
{
    uint8_t *room = sono_igtl_write_room(writer, entry_bytes);
    if (room)
        memset(room, 0, entry_bytes);
    return room;
}

sono_igtl_status sono_igtl_labels_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                         sono_igtl_fault *fault)
{
    return decode(bytes, n_bytes, LABEL_BYTES, out, fault);
}

int sono_igtl_label_at(const sono_igtl_list *list, size_t index, sono_igtl_label *out)
{
    const uint8_t *at = entry_of(list, index, LABEL_BYTES);
    if (!at)
        return 0;
    wire_chars(at, out->name, 64);
    wire_chars(at + 64, out->device, 20);
    out->label = at[84];
    memcpy(out->rgba, at + 86, 4);
    wire_u16s(at + 90, out->size, 3);
    wire_chars(at + 96, out->owner, 20);
    return 1;
}

void sono_igtl_labels_encode(sono_igtl_writer *writer, const sono_igtl_label *labels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const sono_igtl_label *label = &labels[i];
        uint8_t *at = room_for(writer, LABEL_BYTES);
        if (!at)
            return;
        wire_put_chars(at, label->name, 64);
        wire_put_chars(at + 64, label->device, 20);
        at[84] = label->label;
        memcpy(at + 86, label->rgba, 4);
        wire_put_u16s(at + 90, label->size, 3);
        wire_put_chars(at + 96, label->owner, 20);
    }
}

sono_igtl_status sono_igtl_image_metas_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                              sono_igtl_fault *fault)
{
    return decode(bytes, n_bytes, IMAGE_META_BYTES, out, fault);
}

int sono_igtl_image_meta_at(const sono_igtl_list *list, size_t index, sono_igtl_image_meta *out)
{
    const uint8_t *at = entry_of(list, index, IMAGE_META_BYTES);
    if (!at)
        return 0;
    wire_chars(at, out->name, 64);
    wire_chars(at + 64, out->device, 20);
    wire_chars(at + 84, out->modality, 32);
    wire_chars(at + 116, out->patient_name, 64);
    wire_chars(at + 180, out->patient_id, 64);
    out->timestamp = wire_u64(at + 244);
    wire_u16s(at + 252, out->size, 3);
    out->scalar = at[258];
    return 1;
}

void sono_igtl_image_metas_encode(sono_igtl_writer *writer, const sono_igtl_image_meta *metas, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const sono_igtl_image_meta *meta = &metas[i];
        uint8_t *at = room_for(writer, IMAGE_META_BYTES);
        if (!at)
            return;
        wire_put_chars(at, meta->name, 64);
        wire_put_chars(at + 64, meta->device, 20);
        wire_put_chars(at + 84, meta->modality, 32);
        wire_put_chars(at + 116, meta->patient_name, 64);
        wire_put_chars(at + 180, meta->patient_id, 64);
        wire_put_u64(at + 244, meta->timestamp);
        wire_put_u16s(at + 252, meta->size, 3);
        at[258] = meta->scalar;
    }
}

sono_igtl_status sono_igtl_video_metas_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                              sono_igtl_fault *fault)
{
    return decode(bytes, n_bytes, VIDEO_META_BYTES, out, fault);
}

int sono_igtl_video_meta_at(const sono_igtl_list *list, size_t index, sono_igtl_video_meta *out)
{
    const uint8_t *at = entry_of(list, index, VIDEO_META_BYTES);
    if (!at)
        return 0;
    wire_chars(at, out->name, 64);
    wire_chars(at + 64, out->device, 64);
    wire_chars(at + 128, out->patient_name, 64);
    wire_chars(at + 192, out->patient_id, 64);
    out->zoom_level = (int16_t)wire_u16(at + 256);
    out->focal_length_mm = wire_f64(at + 258);
    wire_u16s(at + 266, out->size, 3);
    wire_f32s(at + 272, out->matrix, 12);
    out->scalar = at[320];
    return 1;
}

void sono_igtl_video_metas_encode(sono_igtl_writer *writer, const sono_igtl_video_meta *metas, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const sono_igtl_video_meta *meta = &metas[i];
        uint8_t *at = room_for(writer, VIDEO_META_BYTES);
        if (!at)
            return;
        wire_put_chars(at, meta->name, 64);
        wire_put_chars(at + 64, meta->device, 64);
        wire_put_chars(at + 128, meta->patient_name, 64);
        wire_put_chars(at + 192, meta->patient_id, 64);
        wire_put_u16(at + 256, (uint16_t)meta->zoom_level);
        wire_put_f64(at + 258, meta->focal_length_mm);
        wire_put_u16s(at + 266, meta->size, 3);
        wire_put_f32s(at + 272, meta->matrix, 12);
        at[320] = meta->scalar;
    }
}

sono_igtl_status sono_igtl_landmarks_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                            sono_igtl_fault *fault)
{
    return decode(bytes, n_bytes, LANDMARK_BYTES, out, fault);
}

int sono_igtl_landmark_at(const sono_igtl_list *list, size_t index, sono_igtl_landmark *out)
{
    const uint8_t *at = entry_of(list, index, LANDMARK_BYTES);
    if (!at)
        return 0;
    wire_chars(at, out->name, 64);
    wire_chars(at + 64, out->group, 32);
    memcpy(out->rgba, at + 96, 4);
    wire_f32s(at + 100, out->position_mm, 3);
    out->diameter_mm = wire_f32(at + 112);
    wire_chars(at + 116, out->owner, 20);
    return 1;
}

void sono_igtl_landmarks_encode(sono_igtl_writer *writer, const sono_igtl_landmark *landmarks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const sono_igtl_landmark *landmark = &landmarks[i];
        uint8_t *at = room_for(writer, LANDMARK_BYTES);
        if (!at)
            return;
        wire_put_chars(at, landmark->name, 64);
        wire_put_chars(at + 64, landmark->group, 32);
        memcpy(at + 96, landmark->rgba, 4);
        wire_put_f32s(at + 100, landmark->position_mm, 3);
        wire_put_f32(at + 112, landmark->diameter_mm);
        wire_put_chars(at + 116, landmark->owner, 20);
    }
}

sono_igtl_status sono_igtl_trajectories_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                               sono_igtl_fault *fault)
{
    return decode(bytes, n_bytes, TRAJECTORY_BYTES, out, fault);
}

int sono_igtl_trajectory_at(const sono_igtl_list *list, size_t index, sono_igtl_trajectory *out)
{
    const uint8_t *at = entry_of(list, index, TRAJECTORY_BYTES);
    if (!at)
        return 0;
    wire_chars(at, out->name, 64);
    wire_chars(at + 64, out->group, 32);
    out->type = at[96];
    memcpy(out->rgba, at + 98, 4);
    wire_f32s(at + 102, out->entry_mm, 3);
    wire_f32s(at + 114, out->target_mm, 3);
    out->diameter_mm = wire_f32(at + 126);
    wire_chars(at + 130, out->owner, 20);
    return 1;
}

void sono_igtl_trajectories_encode(sono_igtl_writer *writer, const sono_igtl_trajectory *trajectories,
                                   size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const sono_igtl_trajectory *trajectory = &trajectories[i];
        uint8_t *at = room_for(writer, TRAJECTORY_BYTES);
        if (!at)
            return;
        wire_put_chars(at, trajectory->name, 64);
        wire_put_chars(at + 64, trajectory->group, 32);
        at[96] = trajectory->type;
        memcpy(at + 98, trajectory->rgba, 4);
        wire_put_f32s(at + 102, trajectory->entry_mm, 3);
        wire_put_f32s(at + 114, trajectory->target_mm, 3);
        wire_put_f32(at + 126, trajectory->diameter_mm);
        wire_put_chars(at + 130, trajectory->owner, 20);
    }
}

sono_igtl_status sono_igtl_tools_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                        sono_igtl_fault *fault)
{
    return decode(bytes, n_bytes, TOOL_BYTES, out, fault);
}

int sono_igtl_tool_at(const sono_igtl_list *list, size_t index, sono_igtl_tool *out)
{
    const uint8_t *at = entry_of(list, index, TOOL_BYTES);
    if (!at)
        return 0;
    wire_chars(at, out->name, 20);
    out->type = at[20];
    wire_f32s(at + 22, out->matrix, 12);
    return 1;
}

void sono_igtl_tools_encode(sono_igtl_writer *writer, const sono_igtl_tool *tools, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const sono_igtl_tool *tool = &tools[i];
        uint8_t *at = room_for(writer, TOOL_BYTES);
        if (!at)
            return;
        wire_put_chars(at, tool->name, 20);
        at[20] = tool->type;
        wire_put_f32s(at + 22, tool->matrix, 12);
    }
}

sono_igtl_status sono_igtl_quaternion_tools_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                                   sono_igtl_fault *fault)
{
    return decode(bytes, n_bytes, QUATERNION_TOOL_BYTES, out, fault);
}

int sono_igtl_quaternion_tool_at(const sono_igtl_list *list, size_t index, sono_igtl_quaternion_tool *out)
{
    const uint8_t *at = entry_of(list, index, QUATERNION_TOOL_BYTES);
    if (!at)
        return 0;
    wire_chars(at, out->name, 20);
    out->type = at[20];
    wire_f32s(at + 22, out->position_mm, 3);
    wire_f32s(at + 34, out->quaternion, 4);
    return 1;
}

void sono_igtl_quaternion_tools_encode(sono_igtl_writer *writer, const sono_igtl_quaternion_tool *tools,
                                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const sono_igtl_quaternion_tool *tool = &tools[i];
        uint8_t *at = room_for(writer, QUATERNION_TOOL_BYTES);
        if (!at)
            return;
        wire_put_chars(at, tool->name, 20);
        at[20] = tool->type;
        wire_put_f32s(at + 22, tool->position_mm, 3);
        wire_put_f32s(at + 34, tool->quaternion, 4);
    }
}
