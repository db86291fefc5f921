#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the state machine's test can fail: each mutant is the machine with one mistake, and must be found.

    mutants.py [--only TEXT]

Builds tests/engine/test_state_machine.c against each changed copy of src/engine/state_machine.h and runs it; one that passes
is named, and the exit status is 1. Takes a minute. Needs cc and cmocka; standard library only.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MACHINE = "engine/state_machine.h"
# What stands there, what the mutant has instead.
MUTANTS = [
    ("frame->begins || memory", "memory"),
    ("memory->width_px != frame->width_px ||", ""),
    (" || memory->height_px != frame->height_px)", ")"),
    ("    memory->width_px = frame->width_px;\n", ""),
    ("    memory->has_frame = 1;\n", ""),
    ("if (!frame->timestamp_ns || !memory->timestamp_ns)", "if (!frame->timestamp_ns)"),
    ("if (!frame->timestamp_ns || !memory->timestamp_ns)", "if (!memory->timestamp_ns)"),
    ("return state_ns(rules->default_dt_ms);", "return -1;"),
    ("frame->timestamp_ns < memory->timestamp_ns || ", ""),
    ("frame->timestamp_ns < memory->timestamp_ns", "frame->timestamp_ns <= memory->timestamp_ns"),
    (" || dt > (uint64_t)state_ns(rules->gap_ms)", ""),
    ("dt > (uint64_t)", "dt >= (uint64_t)"),
    ("return parts->has_box && parts->", "return parts->"),
    ("parts->has_box && parts->permille[SONO_QUALITY_CONTINUITY] >= 0", "parts->has_box"),
    ("[SONO_QUALITY_CONTINUITY] >= 0", "[SONO_QUALITY_CONTINUITY] > 0"),
    ("int64_t sum = rules->bias;", "int64_t sum = 0;"),
    ("? rules->unknown_part :", "? 0 :"),
    ("return !has_outline(parts) || sum < 0", "return sum < 0"),
    ("|| sum < 0 ?", "?"),
    ("sum > 1000000 ? 1000 : ", ""),
    ("return iou > surface ? iou : surface;", "return iou;"),
    ("return iou > surface ? iou : surface;", "return surface;"),
    ("return iou > surface ? iou : surface;", "return iou < surface ? iou : surface;"),
    ("if (!has_outline(&v->parts) || v->quality < rules->off ||", "if (v->quality < rules->off ||"),
    ("v->quality < rules->off ||\n", "v->quality <= rules->off ||\n"),
    (" || v->quality < rules->off ||\n        (v->agreement", " ||\n        (v->agreement"),
    (" ||\n        (v->agreement >= 0 && v->agreement < rules->agree_off)", ""),
    ("(v->agreement >= 0 && v->agreement < rules->agree_off)", "v->agreement < rules->agree_off"),
    ("v->agreement < rules->agree_off)", "v->agreement <= rules->agree_off)"),
    ("v->quality < rules->on ||", "v->quality <= rules->on ||"),
    ("v->quality < rules->on || (v->agreement >= 0 && v->agreement < rules->agree_on)", "v->quality < rules->on"),
    ("v->quality < rules->on || (v", "(v"),
    ("v->agreement < rules->agree_on)", "v->agreement <= rules->agree_on)"),
    ("was_visible ? rules->off : rules->on;", "rules->on;"),
    ("was_visible ? rules->agree_off : rules->agree_on;", "rules->agree_on;"),
    ("return SONO_STATE_NO_MASK;", "return SONO_STATE_NO_BOX;"),
    ("? SONO_STATE_FROZEN\n", "? SONO_STATE_TOO_SOON\n"),
    ("v->agreement >= 0 && v->agreement < agree ?", "v->agreement < agree ?"),
    ("    memory->trust_ns = 0;\n", ""),
    ("    memory->is_trusted = 0;\n", ""),
    ("    memory->has_agreed = 0;\n", ""),
    ("    if (grade == SONO_GRADE_GOOD)\n        memory->doubt_ns = 0;\n    else if", "    if"),
    ("        memory->doubt_ns = memory->doubt_ns > dt_ns ? memory->doubt_ns - dt_ns : 0;\n", "        ;\n"),
    ("memory->doubt_ns > dt_ns ? memory->doubt_ns - dt_ns : 0;", "0;"),
    ("memory->doubt_ns > dt_ns ? memory->doubt_ns - dt_ns : 0;", "memory->doubt_ns - dt_ns;"),
    ("else if (memory->grade == SONO_GRADE_BAD)", "else"),
    ("state_least(memory->doubt_ns + dt_ns, state_ns(rules->lost_after_ms));", "memory->doubt_ns + dt_ns;"),
    ("grade == SONO_GRADE_BAD || memory->grade == SONO_GRADE_BAD ?", "grade == SONO_GRADE_BAD ?"),
    ("grade == SONO_GRADE_BAD || memory->grade == SONO_GRADE_BAD ?", "memory->grade == SONO_GRADE_BAD ?"),
    ("if (grade == SONO_GRADE_BAD || is_frozen) {", "if (grade == SONO_GRADE_BAD) {"),
    ("if (grade == SONO_GRADE_BAD || is_frozen) {", "if (is_frozen) {"),
    ("if (grade == SONO_GRADE_BAD || is_frozen) {", "if (grade != SONO_GRADE_GOOD || is_frozen) {"),
    ("    if (grade != SONO_GRADE_GOOD)\n        return;\n", ""),
    ("    if (memory->is_trusted)\n", ""),
    ("    memory->is_trusted = 1;\n", ""),
    ("state_least(memory->trust_ns + dt_ns, state_ns(rules->visible_after_ms));", "memory->trust_ns + dt_ns;"),
    ("if (!v->parts.is_repeat && v->agreement >= rules->agree_on)", "if (v->agreement >= rules->agree_on)"),
    ("v->parts.is_repeat && v->agreement >= rules->agree_on)", "v->parts.is_repeat)"),
    ("v->agreement >= rules->agree_on)", "v->agreement > rules->agree_on)"),
    ("if (grade == SONO_GRADE_BAD || memory->trust_ns < state_ns(rules->found_after_ms))", "if (grade == SONO_GRADE_BAD)"),
    ("grade == SONO_GRADE_BAD || memory->trust_ns < state", "memory->trust_ns < state"),
    ("memory->trust_ns < state_ns(rules->found_after_ms)", "memory->trust_ns <= state_ns(rules->found_after_ms)"),
    ("memory->state = SONO_STATE_RELOCALIZING;\n        state_forget_trust(memory);\n", "memory->state = SONO_STATE_RELOCALIZING;\n"),
    ("memory->is_trusted = grade == SONO_GRADE_GOOD && !is_frozen;", "memory->is_trusted = !is_frozen;"),
    ("memory->is_trusted = grade == SONO_GRADE_GOOD && !is_frozen;", "memory->is_trusted = grade == SONO_GRADE_GOOD;"),
    ("        memory->doubt_ns = 0;\n    } else if", "    } else if"),
    ("if (grade == SONO_GRADE_BAD || is_frozen)\n", "if (grade == SONO_GRADE_BAD)\n"),
    ("if (grade == SONO_GRADE_BAD || is_frozen)\n", "if (is_frozen)\n"),
    ("if (grade == SONO_GRADE_BAD || is_frozen)\n            memory->state = SONO_STATE_RELOCALIZING;",
     "if (grade == SONO_GRADE_BAD || is_frozen)\n            memory->state = SONO_STATE_LOST;"),
    ("memory->doubt_ns >= state_ns(rules->lost_after_ms)", "memory->doubt_ns > state_ns(rules->lost_after_ms)"),
    ("if (memory->doubt_ns >= state_ns(rules->lost_after_ms))\n", ""),
    ("(memory->has_agreed && ", "("),
    (" && memory->trust_ns >= state_ns(rules->visible_after_ms)) {", ") {"),
    ("memory->trust_ns >= state_ns(rules->visible_after_ms)) {", "memory->trust_ns > state_ns(rules->visible_after_ms)) {"),
    ("    v->parts.permille[SONO_QUALITY_AGREEMENT] = v->parts.permille[SONO_QUALITY_SURFACE] = -1;\n", ""),
    ("    v->parts.is_repeat = v->parts.moved_x = v->parts.moved_y = 0;\n", ""),
    ("parts->has_box ? SONO_STATE_VISIBLE : SONO_STATE_LOST;", "SONO_STATE_VISIBLE;"),
    ("grade == SONO_GRADE_GOOD   ? SONO_STATE_VISIBLE", "grade != SONO_GRADE_BAD    ? SONO_STATE_VISIBLE"),
    ("grade == SONO_GRADE_FAIR ? SONO_STATE_RELOCALIZING", "0                        ? SONO_STATE_RELOCALIZING"),
    ("        *memory = empty;\n", ""),
    ("    if (memory->state != SONO_STATE_LOST)\n        v->parts", "        v->parts"),
    ("v->parts.is_repeat = begins ? 0 : parts->is_repeat;", "v->parts.is_repeat = parts->is_repeat;"),
    ("    v->quality = state_quality(rules, &v->parts);\n    v->agreement = state_agreement", "    v->agreement = state_agreement"),
    ("!v->parts.is_repeat ? 0 : state_least", "state_least"),
    ("state_least(memory->repeat_ns + dt_ns, state_ns(rules->frozen_after_ms));", "memory->repeat_ns + dt_ns;"),
    ("is_frozen = v->parts.is_repeat && memory", "is_frozen = memory"),
    ("memory->repeat_ns >= state_ns", "memory->repeat_ns > state_ns"),
    ("    memory->timestamp_ns = frame->timestamp_ns;\n", ""),
    ("    memory->grade = grade;\n", ""),
    ("    v->reasons = begins ? SONO_STATE_BEGAN : 0;\n", "    v->reasons = 0;\n"),
    ("v->dt_us = (int32_t)(dt_ns / 1000);", "v->dt_us = 0;"),
    ("v->trust_us = (int32_t)(memory->trust_ns / 1000);", "v->trust_us = 0;"),
    ("v->doubt_us = (int32_t)(memory->doubt_ns / 1000);", "v->doubt_us = 0;"),
    ("v->repeat_us = (int32_t)(memory->repeat_ns / 1000);", "v->repeat_us = 0;"),
]
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-w", "-fsanitize=undefined", "-fno-sanitize-recover", '-DSONO_SOURCE_DIR=""']
CHANGED = ["tests/engine/test_state_machine.c"]
FIXED = ["tests/support/state_reference.c", "tests/support/test.c", "src/pipeline/state_machine.c", "src/base/alloc.c",
         "src/base/frame.c", "src/base/sized.c", "src/base/status.c", "src/pipeline/names.c"]


def compile_into(folder, sources, first=()):
    objects = []
    for name in sources:
        target = folder / (pathlib.Path(name).stem + ".o")
        rooms = [*first, *(ROOT / room for room in ("include", "src", "tests", "tests/support"))]
        subprocess.run(["cc", *FLAGS, *(f"-I{room}" for room in rooms), "-c", str(ROOT / name), "-o", str(target)], check=True)
        objects.append(str(target))
    return objects


def is_found(folder, fixed, old, new):
    text = (ROOT / "src" / MACHINE).read_text()
    if old not in text:
        sys.exit(f"mutants: {MACHINE} does not have {old!r} any more: bring the list up to date")
    (folder / "engine").mkdir(parents=True)
    (folder / MACHINE).write_text(text.replace(old, new, 1))
    objects = compile_into(folder, CHANGED, [folder])
    program = folder / "test"
    subprocess.run(["cc", *FLAGS, *objects, *fixed, "-lcmocka", "-lm", "-o", str(program)], check=True)
    return subprocess.run([str(program)], capture_output=True, timeout=300).returncode != 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutants of lines that have this text")
    only = parser.parse_args().only
    chosen = [mutant for mutant in MUTANTS if only in mutant[0]]
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        fixed = compile_into(folder, FIXED)
        for number, (old, new) in enumerate(chosen):
            if not is_found(folder / str(number), fixed, old, new):
                print(f"NOT FOUND: {old!r} -> {new!r}", flush=True)
                missed += 1
    print(f"{len(chosen) - missed} of {len(chosen)} mutants found")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
