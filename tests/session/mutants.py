#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the explorer can fail: each mutant is the session with one mistake, and must be found.

    mutants.py [--only TEXT]

Builds tests/session/test_explore.c against each changed copy of live/session and runs it; one that passes is named, and the
exit status is 1. Takes minutes (make check-long). Needs cc and cmocka; standard library only.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# File, what stands there, what the mutant has instead, what that is.
MUTANTS = [
    ("health.c", "    if (why == SONO_SESSION_DROP_COUNT)\n        return;\n    sono_session_hide(s, out, why);",
     "    if (why == SONO_SESSION_DROP_COUNT)\n        return;\n    sono_session_drop_waiting(s, out, why);",
     "results of before a cut are shown after it"),
    ("frames.c", "    sono_session_drop_waiting(s, out, why);\n    s->hidden_through", "    s->hidden_through",
     "a frame that waited through a cut is analysed"),
    ("frames.c", "if (!go_past(s, frame.frame)) {", "if (go_past(s, frame.frame), 0) {",
     "a result behind a newer one is shown"),
    ("frames.c", "} else if (is_late(s, &frame)) {", "} else if (0) {", "a late result is shown"),
    ("frames.c", "*is_hidden = !go_past(s, frame);", "*is_hidden = frame <= s->hidden_through;",
     "after a loss an older frame's mask is shown"),
    ("frames.c", "    s->counts.dropped[why]++;\n", "    s->counts.dropped[why] += why != SONO_SESSION_DROP_AGE;\n",
     "frames dropped for their age are not counted"),
    ("frames.c", "        s->counts.processed++;\n", "        s->counts.processed += 2;\n", "shown frames are counted twice"),
    ("frames.c", "    if (frame <= s->last_frame)\n", "    if (frame < s->last_frame)\n", "a number may come twice"),
    ("frames.c", "    if (n_too_old && !sono_session_hopes(s))", "    if (0 && n_too_old)",
     "frames that are all too old leave an old mask"),
    ("frames.c", "        if (is_too_old(s, &frame)) {", "        if (0) {", "age is not judged"),
    ("frames.c", "s->n_in_engine < s->limits.depth", "s->n_in_engine <= s->limits.depth", "one frame too many in the engine"),
    ("frames.c", "            n_too_old++;\n            continue;\n", "            n_too_old++;\n            break;\n",
     "a frame waits behind one that is too old"),
    ("frames.c", "        end_frame(s, out, SONO_SESSION_DROP, oldest.frame, SONO_SESSION_DROP_SUPERSEDED);\n", "        (void)oldest;\n",
     "a superseded frame is forgotten"),
    ("frames.c", "    else if (s->engine != SONO_ENGINE_UP)\n", "    else if (s->engine == SONO_ENGINE_CLOSED)\n",
     "a frame waits for an engine that is being opened"),
    ("frames.c", "        end_frame(s, out, SONO_SESSION_DROP, event->frame, SONO_SESSION_DROP_PAUSED);\n    else if",
     "        put_in_mailbox(s, out, event->frame, event->received_ns);\n    else if", "frames are analysed while paused"),
    ("frames.c", "    sono_session_clear(s, SONO_SESSION_FAULT_REFUSED);\n", "", "a good image does not end REFUSED"),
    ("frames.c", "        sono_session_raise(s, out, SONO_SESSION_FAULT_REFUSED);\n", "", "refused images leave an old mask"),
    ("frames.c", "        s->is_empty_told = 0;\n", "", "a second mask is not emptied"),
    ("frames.c", "        sono_session_clear(s, SONO_SESSION_FAULT_LATE);\n", "", "lateness never ends"),
    ("frames.c", "        sono_session_clear(s, SONO_SESSION_FAULT_ENGINE);\n", "", "a loss is told for ever"),
    ("frames.c", "    s->has_frame = 1;\n", "", "no geometry is ever known"),
    ("link.c", "    sono_session_raise(s, out, SONO_SESSION_FAULT_NO_SOURCE);\n", "", "a cut leaves the mask"),
    ("link.c", "        sono_session_raise(s, out, SONO_SESSION_FAULT_STALLED);\n", "", "a stall leaves the mask"),
    ("link.c", "    sono_session_clear(s, SONO_SESSION_FAULT_STALLED);\n", "", "a stall never ends"),
    ("link.c", "    sono_session_clear(s, SONO_SESSION_FAULT_NO_SOURCE);\n", "", "a cut never ends"),
    ("link.c", "    s->retry_at = sono_session_after(s, s->backoff_ns);\n", "", "no second attempt"),
    ("link.c", "    s->connect_at = sono_session_after(s, s->limits.connect_ns);\n", "", "an attempt has no deadline"),
    ("link.c", "        sono_session_push(out, SONO_SESSION_DISCONNECT);\n        lose_link(s, out);", "        lose_link(s, out);",
     "a mute link is not closed before the next attempt"),
    ("link.c", "        s->read_at = s->stall_at = SONO_SESSION_NEVER;\n    } else if (!s->is_reading) {",
     "    } else if (!s->is_reading) {", "deadlines of reading run while nothing is read"),
    ("link.c", "    } else if (!s->is_reading) {", "    } else if (1) {", "reading has its deadlines moved by any event"),
    ("engine.c", "{\n    sono_session_drop_waiting(s, out, SONO_SESSION_DROP_NO_ENGINE);\n", "{\n",
     "a frame waits in memory of an engine that closes"),
    ("engine.c", "    s->is_reopening = 1;\n    sono_session_drop_waiting(s, out, SONO_SESSION_DROP_NO_ENGINE);\n",
     "    s->is_reopening = 1;\n", "a frame waits in memory of an engine that is reopened on request"),
    ("engine.c", "    s->is_reopening = 1;\n", "", "reopening on request is told as a failure"),
    ("engine.c", "    s->is_reopening = 0;\n", "", "the next failure passes for a request"),
    ("engine.c", "    sono_session_drop_in_engine(s, out, SONO_SESSION_DROP_DEVICE);\n", "", "frames of a hanging engine are forgotten"),
    ("engine.c", "    sono_session_raise(s, out, SONO_SESSION_FAULT_ENGINE);\n}\n\n/* Asked for", "}\n\n/* Asked for",
     "a hanging engine leaves the mask"),
    ("engine.c", "    if (!is_hidden)\n        sono_session_raise(s, out, SONO_SESSION_FAULT_ENGINE);\n", "", "a loss leaves the mask"),
    ("engine.c", "    if (s->now_ns >= sono_session_hang_at(s))\n        reopen(s, out);\n", "", "no watchdog"),
    ("engine.c", "    s->engine_retry_at = sono_session_after(s, s->engine_backoff_ns);\n", "", "the engine is not reopened"),
    ("engine.c", "    s->close_at = sono_session_after(s, s->limits.close_ns);\n", "", "closing has no deadline"),
    ("engine.c", "        s->exit_status = 1;\n", "        s->exit_status = 0;\n", "exit status 0 although the engine hangs"),
    ("engine.c", "!s->is_stopping && s->now_ns", "s->now_ns", "the engine is opened to be closed"),
    ("health.c", "    s->faults &= ~bit(fault);\n    s->due", "    s->due", "no fault ever ends"),
    ("health.c", "    if (is_of_source(fault) && waits(s))\n", "    if (waits(s))\n", "a late result waits for its turn to be a fault"),
    ("health.c", "s->due && !waits(s)", "0", "in-order mode forgets faults of the source"),
    ("health.c", "    if (s->now_ns >= sono_session_late_at(s))\n        sono_session_raise(s, out, SONO_SESSION_FAULT_LATE);\n", "",
     "lateness is only seen when the result comes"),
    ("health.c", "        s->state = -1;\n", "", "the state of before a fault is told after it"),
    ("health.c", "            s->is_empty_told = 1;\n", "            s->is_empty_told = 0;\n", "empty masks without end"),
    ("health.c", "    else\n        s->is_empty_told = 0;\n", "", "a client that joins keeps its old mask"),
    ("health.c", "        push_empty(s, out, client);\n", "        ;\n", "a client that joins during a fault keeps its old mask"),
    ("health.c", "        s->status_at = sono_session_after(s, s->limits.keep_alive_ns);\n    }", "    }", "STATUS is repeated without pause"),
    ("health.c", "worst != s->told || ", "", "a new fault is not told"),
    ("health.c", "s->state != s->told_state || ", "", "a new state is not told"),
    ("health.c", "        s->faults &= ~bit(SONO_SESSION_FAULT_ENGINE);\n", "        ;\n", "a loss is told while the source is away"),
    ("session.c", "    sono_session_drop_waiting(s, out, SONO_SESSION_DROP_STOPPED);\n", "", "STOP forgets the frame that waits"),
    ("session.c", "    sono_session_drop_in_engine(s, out, SONO_SESSION_DROP_STOPPED);\n", "", "the end forgets frames in the engine"),
    ("session.c", "    sono_session_raise(s, out, SONO_SESSION_FAULT_STOPPING);\n", "", "STOP never ends"),
    ("session.c", " || s->now_ns >= s->drain_at;", ";", "the drain has no limit"),
    ("session.c", "        s->exit_status = 1;\n        return;\n", "        return;\n", "a second STOP does not end it"),
    ("session.c", "    if (s->exit_status < 0)\n        sono_session_engine_close(s, out);\n", "", "the engine is not closed at the end"),
    ("session.c", "    s->is_over = 1;\n", "", "actions after EXIT"),
    ("session.c", "    handle(s, event, out);\n    sono_session_link_deadlines(s, out);", "    handle(s, event, out);",
     "no deadlines of the link"),
    ("session.c", "    sono_session_take(s, out);\n", "", "nothing is ever analysed"),
    ("session.c", "    return !s->limits.in_order || (s->engine == SONO_ENGINE_UP && ", "    return !s->limits.in_order || (",
     "in-order mode reads while there is no engine"),
    ("session.c", "s->n_waiting < s->limits.n_waiting);", "s->n_waiting <= s->limits.n_waiting);", "in-order mode reads one frame too many"),
]
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-w", '-DSONO_SOURCE_DIR=""'] + \
    [f"-I{ROOT / folder}" for folder in ("include", "src", "tests", "tests/support")]
FIXED = ["tests/session/test_explore.c", "tests/support/session_model.c", "tests/support/session_pack.c", "tests/support/test.c",
         "src/base/alloc.c", "src/base/frame.c", "src/base/sized.c", "src/base/status.c", "src/pipeline/names.c"]


def compile_fixed(folder):
    """Objects of what no mutant changes."""
    objects = []
    for name in FIXED:
        target = folder / (pathlib.Path(name).stem + ".o")
        subprocess.run(["cc", *FLAGS, f"-I{ROOT / 'live'}", "-c", str(ROOT / name), "-o", str(target)], check=True)
        objects.append(str(target))
    return objects


def complaint_about(folder, objects, mutant):
    """What the explorer says of a mutant, None where it finds nothing."""
    name, old, new, _ = mutant
    rooms = folder / "session"
    rooms.mkdir(parents=True)
    for source in (ROOT / "live" / "session").iterdir():
        text = source.read_text()
        if source.name == name:
            text = text.replace(old, new)
        (rooms / source.name).write_text(text)
    program = folder / "explore"
    subprocess.run(["cc", *FLAGS, f"-I{folder}", *map(str, rooms.glob("*.c")), *objects, "-lcmocka", "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=300)
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:ERROR: )?(.*), after$", done.stdout + done.stderr, re.M)
    return found.group(1) if found else f"exit status {done.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutants whose description holds this")
    only = parser.parse_args().only
    chosen = [mutant for mutant in MUTANTS if only in mutant[3]]
    n_missed = 0
    for name, old, _, text in chosen:
        n_times = (ROOT / "live" / "session" / name).read_text().count(old)
        if n_times != 1:
            raise SystemExit(f"mutants: '{text}' changes what live/session/{name} has {n_times} times instead of once")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        objects = compile_fixed(folder)
        for i, mutant in enumerate(chosen):
            found = complaint_about(folder / str(i), objects, mutant)
            n_missed += found is None
            print(f"{mutant[0]}: {mutant[3]}: {found or 'NOT FOUND'}", flush=True)
    print(f"{len(chosen)} mutants, {n_missed} not found")
    return 1 if n_missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
