// SPDX-License-Identifier: Apache-2.0
/* The events of a sweep: which one when, how strong, and what it does to a frame. docs/phantom.md has them.
 */
#include "io/phantom/phantom_math.h"

#define EDGE       1.14f /* half widths from a bone's middle beyond which nothing of it is seen */
#define LEAST_ROOM 0.1f  /* of the view, beside a bone, for another one */
#define SLIDE_MORE 2.0f  /* mm that the probe goes on when the bone has left the view */
#define MOST_SWAY  0.15f /* of the view: the amplitude of fast motion */
#define EVENT_KEY  0xe7e27a5u

typedef struct range {
    float low, high;
} range;

/* Everything that is drawn for an event, by set. s, Hz, dB, mm, mm/s; _ranges: of what the screen displays,
 * in dB; others have no unit. */
typedef struct ranges {
    range quiet_s;
    range fade_frames, lost_s, lift_ranges, air_db, air_mm, air_period_mm;
    range leave_s, away_s;
    range cover_way_s, cover_s, cover_share, cover_ranges, cover_soft_mm, cover_top_mm;
    range jump_s, jump_db;
    range fast_s, fast_hz, fast_mm_s, press_share;
    range freeze_s;
    range visit_way_s, visit_s, visit_gap_mm, visit_half, visit_top, visit_rise, visit_bend, visit_db;
} ranges;

static const ranges sets[SONO_PHANTOM_EVENTS_SET_COUNT] = {
    [SONO_PHANTOM_EVENTS_HELD_OUT] =
        {
            .quiet_s = {1.5f, 4.0f},
            .fade_frames = {1, 4},
            .lost_s = {0.4f, 2.5f},
            .lift_ranges = {0.95f, 1.4f},
            .air_db = {-12, 0},
            .air_mm = {0.8f, 3.5f},
            .air_period_mm = {0.7f, 2.2f},
            .leave_s = {0.25f, 0.9f},
            .away_s = {0.3f, 2.0f},
            .cover_way_s = {0.2f, 1.0f},
            .cover_s = {0.4f, 2.0f},
            .cover_share = {0.3f, 1.5f},
            .cover_ranges = {0.85f, 1.2f},
            .cover_soft_mm = {1.2f, 3.5f},
            .cover_top_mm = {0.3f, 1.5f},
            .jump_s = {0.4f, 2.5f},
            .jump_db = {6, 15},
            .fast_s = {0.4f, 1.2f},
            .fast_hz = {2, 5},
            .fast_mm_s = {40, 120},
            .press_share = {0.05f, 0.35f},
            .freeze_s = {0.3f, 2.0f},
            .visit_way_s = {0.4f, 1.2f},
            .visit_s = {0.5f, 2.0f},
            .visit_gap_mm = {1.0f, 5.0f},
            .visit_half = {0.1f, 0.22f},
            .visit_top = {-0.1f, 0.1f},
            .visit_rise = {0.05f, 0.25f},
            .visit_bend = {0.4f, 2.0f},
            .visit_db = {-4, 4},
        },
    [SONO_PHANTOM_EVENTS_TUNING] =
        {
            .quiet_s = {1.0f, 3.0f},
            .fade_frames = {1, 3},
            .lost_s = {0.3f, 1.8f},
            .lift_ranges = {1.0f, 1.2f},
            .air_db = {-9, -2},
            .air_mm = {1.2f, 2.8f},
            .air_period_mm = {0.9f, 1.8f},
            .leave_s = {0.35f, 0.7f},
            .away_s = {0.3f, 1.5f},
            .cover_way_s = {0.3f, 0.8f},
            .cover_s = {0.4f, 1.5f},
            .cover_share = {0.4f, 1.3f},
            .cover_ranges = {0.9f, 1.1f},
            .cover_soft_mm = {1.5f, 3.0f},
            .cover_top_mm = {0.5f, 1.2f},
            .jump_s = {0.3f, 1.8f},
            .jump_db = {5, 12},
            .fast_s = {0.4f, 1.0f},
            .fast_hz = {2.5f, 4.5f},
            .fast_mm_s = {50, 100},
            .press_share = {0.1f, 0.3f},
            .freeze_s = {0.3f, 1.5f},
            .visit_way_s = {0.5f, 1.0f},
            .visit_s = {0.5f, 1.5f},
            .visit_gap_mm = {1.5f, 4.0f},
            .visit_half = {0.12f, 0.2f},
            .visit_top = {-0.08f, 0.08f},
            .visit_rise = {0.08f, 0.2f},
            .visit_bend = {0.5f, 1.5f},
            .visit_db = {-3, 3},
        },
};

static float draw(phantom_dice *dice, range r)
{
    return phantom_draw(dice, r.low, r.high);
}

/* Seconds as whole frames, at least one. */
static int64_t draw_frames(const sono_phantom_timetable *table, phantom_dice *dice, range seconds)
{
    const int64_t n = llround((double)draw(dice, seconds) * table->rate_hz);
    return n > 1 ? n : 1;
}

/* Where all bones of the anatomy begin and end at a moment, in mm right of the middle of the view; edge in
 * half widths. */
static void find_ends(const sono_phantom_timetable *table, const sono_phantom_scene *scene, double time_s,
                      float edge, float ends_mm[2])
{
    const float probe_mm = phantom_wave_at(&scene->probe_mm, time_s);
    for (int32_t b = 0; b < table->n_bones; b++) {
        const sono_phantom_bone *bone = &scene->bones[b];
        const float centre = phantom_wave_at(&bone->centre_mm, time_s) - probe_mm;
        const float half = phantom_wave_at(&bone->half_mm, time_s) * edge;
        const float left = centre - half * bone->skew, right = centre + half;
        ends_mm[0] = b ? fminf(ends_mm[0], left) : left;
        ends_mm[1] = b ? fmaxf(ends_mm[1], right) : right;
    }
}

/* Room beside the bones, left or right, in which poor contact does not hide what is there. */
static float room_beside(const sono_phantom_timetable *table, const sono_phantom_scene *scene, int32_t side)
{
    float ends_mm[2];
    find_ends(table, scene, 0, EDGE, ends_mm);
    const float dark_mm = fmaxf(0.5f * table->view_mm + scene->contact_mm[side].mean, 0);
    return 0.5f * table->view_mm - dark_mm + (side ? -ends_mm[1] : ends_mm[0]);
}

void sono_phantom_timetable_init(sono_phantom_timetable *table, const sono_phantom_scene *scene,
                                 const sono_phantom_options *options)
{
    *table = (sono_phantom_timetable){.set = options->events, .rate_hz = options->rate_hz};
    table->key = phantom_hash(scene->key ^ EVENT_KEY);
    table->n_bones = scene->n_bones;
    table->view_mm = scene->view_mm;
    const uint32_t kinds = options->event_kinds ? options->event_kinds : UINT32_MAX;
    if (table->n_bones == 1) {
        table->room_side = room_beside(table, scene, 1) > room_beside(table, scene, 0);
        table->has_room = room_beside(table, scene, table->room_side) > LEAST_ROOM * table->view_mm;
    }
    for (int32_t kind = SONO_PHANTOM_QUIET + 1; kind < SONO_PHANTOM_EVENT_COUNT; kind++) {
        const int needs_bone = kind == SONO_PHANTOM_PROBE_LEAVES || kind == SONO_PHANTOM_SHADOW;
        if (scene->fan.is_fan && SONO_PHANTOM_LINEAR_EVENTS >> kind & 1)
            continue;
        const int fits = kind == SONO_PHANTOM_OTHER_BONE ? table->has_room : table->n_bones || !needs_bone;
        if (fits && kinds >> kind & 1)
            table->order[table->n_kinds++] = (sono_phantom_event)kind;
    }
}

/* Every kind once before any comes again. */
static sono_phantom_event next_kind(sono_phantom_timetable *table, phantom_dice *dice)
{
    const int32_t place = (int32_t)(table->n_begun % table->n_kinds);
    const float turn = phantom_draw(dice, (float)place, (float)table->n_kinds);
    const int32_t other = turn < (float)(table->n_kinds - 1) ? (int32_t)turn : table->n_kinds - 1;
    const sono_phantom_event kind = table->order[other];
    table->order[other] = table->order[place];
    table->order[place] = kind;
    return kind;
}

static void draw_contact_lost(sono_phantom_timetable *table, const sono_phantom_scene *scene,
                              phantom_dice *dice)
{
    const ranges *r = &sets[table->set];
    sono_phantom_effects *full = &table->full;
    table->n_in = (int64_t)draw(dice, r->fade_frames); /* cut off: [1, 4) are 1, 2, 3 */
    table->n_out = (int64_t)draw(dice, r->fade_frames);
    table->n_stay = draw_frames(table, dice, r->lost_s);
    full->lift = 1;
    full->lift_side = table->side;
    full->lift_db = draw(dice, r->lift_ranges) * scene->range_db;
    full->air_db = draw(dice, r->air_db);
    full->air_mm = draw(dice, r->air_mm);
    full->air_period_mm = draw(dice, r->air_period_mm);
}

/* The probe goes to where a tilted bone would be deeper, so that the layers make no way for what is not
 * there. */
static void draw_leave(sono_phantom_timetable *table, const sono_phantom_scene *scene, double time_s,
                       phantom_dice *dice)
{
    const ranges *r = &sets[table->set];
    float ends_mm[2];
    table->n_in = draw_frames(table, dice, r->leave_s);
    table->n_out = draw_frames(table, dice, r->leave_s);
    table->n_stay = draw_frames(table, dice, r->away_s);
    find_ends(table, scene, time_s, EDGE, ends_mm);
    const float more =
        SLIDE_MORE + 0.16f * table->view_mm + 0.06f * (ends_mm[1] - ends_mm[0]); /* the swings */
    const float reach = 0.5f * table->view_mm + more;
    const float tilt = scene->bones[0].tilt.mean;
    table->full.slide_mm = tilt >= 0 ? reach + ends_mm[1] : ends_mm[0] - reach;
}

static void draw_shadow(sono_phantom_timetable *table, const sono_phantom_scene *scene, phantom_dice *dice)
{
    const ranges *r = &sets[table->set];
    table->n_in = draw_frames(table, dice, r->cover_way_s);
    table->n_out = draw_frames(table, dice, r->cover_way_s);
    table->n_stay = draw_frames(table, dice, r->cover_s);
    table->share = fminf(draw(dice, r->cover_share), 1);
    table->full.cover_db = draw(dice, r->cover_ranges) * scene->range_db;
    table->full.cover_soft_mm = draw(dice, r->cover_soft_mm);
    table->full.cover_top_mm = draw(dice, r->cover_top_mm);
}

static void draw_jump(sono_phantom_timetable *table, phantom_dice *dice)
{
    const ranges *r = &sets[table->set];
    table->n_stay = draw_frames(table, dice, r->jump_s);
    table->full.gain_db = draw(dice, r->jump_db) * (table->side ? 1.0f : -1.0f);
}

static void draw_fast(sono_phantom_timetable *table, phantom_dice *dice)
{
    const ranges *r = &sets[table->set];
    table->n_stay = draw_frames(table, dice, r->fast_s);
    table->fast_hz = draw(dice, r->fast_hz);
    const float sway_mm = draw(dice, r->fast_mm_s) / (PHANTOM_TURN * table->fast_hz);
    table->full.slide_mm = fminf(sway_mm, MOST_SWAY * table->view_mm);
    table->full.press_mm = draw(dice, r->press_share) * table->full.slide_mm;
    table->phase = phantom_draw(dice, 0, 1);
}

static void draw_visit(sono_phantom_timetable *table, const sono_phantom_scene *scene, phantom_dice *dice)
{
    const ranges *r = &sets[table->set];
    const float depth_mm = scene->depth_mm, top_mm = scene->bones[0].top_mm.mean;
    table->n_in = draw_frames(table, dice, r->visit_way_s);
    table->n_out = draw_frames(table, dice, r->visit_way_s);
    table->n_stay = draw_frames(table, dice, r->visit_s);
    table->gap_mm = draw(dice, r->visit_gap_mm);
    sono_phantom_bone *visitor = &table->visitor;
    *visitor = (sono_phantom_bone){.skew = 1, .break_at = 9};
    visitor->half_mm.mean = draw(dice, r->visit_half) * table->view_mm;
    visitor->top_mm.mean = fmaxf(top_mm + draw(dice, r->visit_top) * depth_mm, 0.1f * depth_mm);
    visitor->rise_mm.mean = draw(dice, r->visit_rise) * depth_mm;
    visitor->bend = draw(dice, r->visit_bend);
    visitor->level_db = draw(dice, r->visit_db);
}

/* Draws the next event, to begin after a quiet stretch from `frame` on. */
static void begin_next(sono_phantom_timetable *table, const sono_phantom_scene *scene, int64_t frame)
{
    phantom_dice dice = {phantom_hash(table->key + (uint64_t)table->n_begun), 0};
    table->first = frame + draw_frames(table, &dice, sets[table->set].quiet_s);
    table->kind = next_kind(table, &dice);
    table->side = phantom_draw(&dice, 0, 1) < 0.5f;
    table->n_in = table->n_stay = table->n_out = 0;
    table->full = (sono_phantom_effects){0};
    if (table->kind == SONO_PHANTOM_CONTACT_LOST)
        draw_contact_lost(table, scene, &dice);
    else if (table->kind == SONO_PHANTOM_PROBE_LEAVES)
        draw_leave(table, scene, (double)table->first / table->rate_hz, &dice);
    else if (table->kind == SONO_PHANTOM_SHADOW)
        draw_shadow(table, scene, &dice);
    else if (table->kind == SONO_PHANTOM_GAIN_JUMP)
        draw_jump(table, &dice);
    else if (table->kind == SONO_PHANTOM_MOTION_BLUR)
        draw_fast(table, &dice);
    else if (table->kind == SONO_PHANTOM_FREEZE)
        table->n_stay = draw_frames(table, &dice, sets[table->set].freeze_s);
    else
        draw_visit(table, scene, &dice);
    table->n_begun++;
}

sono_phantom_event sono_phantom_timetable_go(sono_phantom_timetable *table, const sono_phantom_scene *scene,
                                             int64_t frame)
{
    if (!table->n_kinds)
        return SONO_PHANTOM_QUIET;
    if (!table->n_begun || frame >= table->first + table->n_in + table->n_stay + table->n_out)
        begin_next(table, scene, frame);
    return frame < table->first ? SONO_PHANTOM_QUIET : table->kind;
}

/* 0 before and after, 1 at the event's height; `since` counts frames from the event's first one. */
static float progress(const sono_phantom_timetable *table, int64_t since)
{
    const int64_t left = table->n_in + table->n_stay + table->n_out - 1 - since;
    if (since < table->n_in)
        return (float)(since + 1) / (float)(table->n_in + 1);
    return left < table->n_out ? (float)(left + 1) / (float)(table->n_out + 1) : 1;
}

static void cover(const sono_phantom_timetable *table, const sono_phantom_scene *scene, double time_s,
                  float come, sono_phantom_effects *effects)
{
    const float soft = effects->cover_soft_mm;
    float ends_mm[2];
    find_ends(table, scene, time_s, 1, ends_mm);
    const float reach = table->share * (ends_mm[1] - ends_mm[0]) + (table->share < 1 ? 0 : 2 * soft);
    const float margin = 2 * soft;
    effects->cover_mm[0] = table->side ? ends_mm[1] - reach : ends_mm[0] - margin;
    effects->cover_mm[1] = table->side ? ends_mm[1] + margin : ends_mm[0] + reach;
    const float way = table->side ? 0.5f * table->view_mm + soft - effects->cover_mm[0]
                                  : -0.5f * table->view_mm - soft - effects->cover_mm[1];
    for (int32_t i = 0; i < 2; i++)
        effects->cover_mm[i] += (1 - come) * way;
}

static void visit(const sono_phantom_timetable *table, float come, double time_s, sono_phantom_scene *scene)
{
    float ends_mm[2];
    find_ends(table, scene, time_s, EDGE, ends_mm);
    sono_phantom_bone *visitor = &scene->bones[table->n_bones];
    *visitor = table->visitor;
    const float apart_mm = table->gap_mm + EDGE * visitor->half_mm.mean + (1 - come) * table->view_mm;
    const float probe_mm = phantom_wave_at(&scene->probe_mm, time_s);
    visitor->centre_mm.mean = probe_mm + (table->room_side ? ends_mm[1] + apart_mm : ends_mm[0] - apart_mm);
    scene->n_bones = table->n_bones + 1;
}

/* The probe shakes; swells from rest and ends in it. */
static void sway(const sono_phantom_timetable *table, double since_s, sono_phantom_effects *effects)
{
    const float turns = table->fast_hz * (float)since_s;
    const float whole_s = (float)table->n_stay / (float)table->rate_hz;
    const float swell =
        phantom_step(0, 0.2f, (float)since_s / whole_s) * phantom_step(0, 0.2f, 1 - (float)since_s / whole_s);
    effects->slide_mm *= swell * sinf(PHANTOM_TURN * turns);
    effects->press_mm *= swell * sinf(PHANTOM_TURN * (turns + table->phase));
}

void sono_phantom_timetable_apply(const sono_phantom_timetable *table, int64_t frame, double off_s,
                                  sono_phantom_scene *scene, sono_phantom_effects *effects)
{
    const double time_s = (double)frame / table->rate_hz, begin_s = (double)table->first / table->rate_hz;
    const float linear = progress(table, frame - table->first), smooth = phantom_step(0, 1, linear);
    *effects = table->full;
    if (table->kind == SONO_PHANTOM_CONTACT_LOST)
        effects->lift = linear;
    else if (table->kind == SONO_PHANTOM_PROBE_LEAVES)
        effects->slide_mm *= smooth;
    else if (table->kind == SONO_PHANTOM_SHADOW)
        cover(table, scene, time_s, smooth, effects);
    else if (table->kind == SONO_PHANTOM_MOTION_BLUR)
        sway(table, time_s + off_s - begin_s, effects);
    else if (table->kind == SONO_PHANTOM_OTHER_BONE)
        visit(table, smooth, time_s, scene);
}
