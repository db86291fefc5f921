# SPDX-License-Identifier: Apache-2.0
# labels: timeout=120
"""`sonoseg report`: what stands on the page is what the files say, whatever their names; damage is named; size and memory are bounded."""
import html.parser
import json
import math
import pathlib
import re
import shlex
import struct
import subprocess
import sys
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live  # noqa: E402

# A small process: what forks counts for its child, too.
MEASURE = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
VOID = {"meta", "img", "rect", "br"}
HOSTILE = '</script><script>alert(1)</script>"\'&<b>\u202e\u00e9.png'


class Page(html.parser.HTMLParser):
    """The page as a list of elements, each with its attributes and the text below it; tags must close in their order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert not self.open, [element["tag"] for element in self.open]

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", "class": "", **dict(attributes)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.elements.append({"tag": tag, "text": "", "class": "", **dict(attributes)})

    def handle_endtag(self, tag):
        assert self.open and self.open[-1]["tag"] == tag, (tag, [element["tag"] for element in self.open])
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **wanted):
        return [element for element in self.elements if element["tag"] == tag and
                all(element.get(key.rstrip("_").replace("_", "-")) == value for key, value in wanted.items())]

    @property
    def text(self):
        return self.all("body")[0]["text"]

    @property
    def data(self):
        return {chart["id"]: chart for chart in json.loads(self.all("script", id="data")[0]["text"])}

    def numbers(self, value):
        """The row of a value: frames, mean, least, p50, p95, p99, most."""
        at = self.elements.index(self.all("tr", data_value=value)[0])
        return [float(cell["text"]) for cell in self.elements[at + 2:at + 9]]

    def pairs(self):
        """dt and dd of all lists."""
        words = [element for element in self.elements if element["tag"] in ("dt", "dd")]
        return {name["text"]: value["text"].replace("\u202f", "") for name, value in zip(words[::2], words[1::2])}

    def captions(self, group):
        at = self.elements.index(self.all("div", data_group=group)[0])
        out = []
        for element in self.elements[at + 1:]:
            if element["tag"] in ("h3", "p"):
                break
            if element["tag"] == "figcaption":
                out.append(element["text"])
        return out


def report(folder, *words):
    run = live.run("report", folder, "--output", "-", *words)
    assert run.returncode == 0 and not run.stderr, run
    return Page(run.stdout), run.stdout


def png(width, height, rgb):
    rows = b"".join(b"\0" + bytes(rgb) * width for _ in range(height))
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + \
        chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def line(i, **more):
    """A line of results.jsonl."""
    state = "LOST" if i % 10 in (3, 4) else "VISIBLE"
    frame = {"schema": 1, "frame_id": i, "source": f"f{i}.png", "path": f"in/f{i}.png", "stem": f"f{i}", "timestamp_s": 1000000000 + i * 0.04,
             "width_px": 64, "height_px": 48, "state": state, "score": 0.2 if state == "LOST" else 0.5 + (i * 7 % 50) / 100,
             "bbox_xyxy_px": None if state == "LOST" else [1, 2, 3, 4], "iou_predicted": 0.8 + (i % 13) / 100, "mask_area_px": 100 + i % 17,
             "surface_mm": [[[0, 0], [3, 4]], [[0, 0], [0, 1.5]]], "backend": "cpu", "precision": "fp32",
             "latency_ms": {"preprocess": 1.5, "detect": 3 + i % 5, "total": 10 + (i * 31 % 100) / 10}}
    return {**frame, **more}


def percentile(values, percent):
    values = sorted(values)
    place = percent / 100 * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def write(folder, lines, pictures=()):
    folder.mkdir(parents=True)
    (folder / "results.jsonl").write_text("".join(text if isinstance(text, str) else json.dumps(text, ensure_ascii=False) + "\n" for text in lines),
                                          encoding="utf-8")
    (folder / "overlays").mkdir()
    for stem in pictures:
        (folder / "overlays" / f"{stem}.png").write_bytes(png(64, 48, (200, 10, 10)))


def check_numbers(page, frames):
    """Every number is the files'."""
    states = [frame["state"] for frame in frames]
    for state in ("VISIBLE", "LOST", "RELOCALIZING"):
        row = next(i for i, element in enumerate(page.elements) if element["tag"] == "th" and element["text"] == state)
        assert page.elements[row + 1]["data-n"] == str(states.count(state)), state
    assert page.all("span", class_="flips")[0]["text"] == str(sum(a != b for a, b in zip(states, states[1:])))
    wanted = {"Score": ([frame["score"] for frame in frames], 3), "Predicted IoU": ([frame["iou_predicted"] for frame in frames], 3),
              "Area": ([frame["mask_area_px"] for frame in frames], 0), "Latency": ([frame["latency_ms"]["total"] for frame in frames], 2),
              "detect": ([frame["latency_ms"]["detect"] for frame in frames], 3), "Length of the surface": ([6.5] * len(frames), 2)}
    for name, (values, decimals) in wanted.items():
        row = page.numbers(name)
        assert row[0] == len(values) and abs(row[1] - sum(values) / len(values)) <= 0.51 * 10 ** -max(decimals, 1), (name, row)
        for shown, percent in zip(row[2:], (0, 50, 95, 99, 100)):
            assert abs(shown - percentile(values, percent)) <= 0.501 * 10 ** -decimals, (name, percent, row)
    assert not page.all("tr", data_value="Quality") and "Absent in all frames: Quality" in page.text


def test_results():
    folder = live.folder() / "out"
    frames = [line(i) for i in range(200)]
    write(folder, frames, [f"f{i}" for i in range(200) if i != 3])
    page, text = report(folder, "--title", "Study <12> & more", "--worst", 4, "--frames", 5)
    assert page.all("h1")[0]["text"] == "Study <12> & more" and page.all("title")[0]["text"].startswith("Study <12> & more")
    check_numbers(page, frames)
    pairs = page.pairs()
    assert pairs["Frames with a result"] == "200" and pairs["backend"] == "cpu" and pairs["Span"] == "7.960 s, 25.00 frames/s", pairs
    assert "2001-09-09 01:46:40 UTC" in pairs["First frame"]
    score = page.data["c0-score"]
    assert [points[1] for points in score["lines"][0]["points"]] == [round(frame["score"], 6) for frame in frames] and score["x"] == "s"
    assert sum(page.data["c0-histogram"]["lines"][0]["bins"]) == 200 and "downsampled" not in text.split("</style>")[1].split("<script")[0]
    by_score = sorted(frames, key=lambda frame: frame["score"])[:4]
    assert [caption.split(" · ")[0] for caption in page.captions("lowest")] == [str(frame["frame_id"]) for frame in by_score]
    slow = sorted(frames, key=lambda frame: -frame["latency_ms"]["total"])[:4]
    assert [caption.split(" · ")[0] for caption in page.captions("slowest")] == [str(frame["frame_id"]) for frame in slow]
    assert page.captions("lowest")[0] == "3 · f3.png · LOST · 0.200 · 19.30 ms"
    assert [caption.split(" · ")[0] for caption in page.captions("flips")] == ["3", "13", "23", "33"] # LOST for two frames each
    assert [caption.split(" · ")[0] for caption in page.captions("strip")] == ["0", "49", "99", "149", "199"]
    assert "No picture: there is no picture of it in overlays/" in page.text
    assert page.all("img") and all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert "There is no file of events" not in page.text and "there is no file of events" in page.text


def test_alone():
    """Nothing from elsewhere, and only scripts and styles whose hashes the page names may run."""
    folder = live.folder() / "out"
    write(folder, [line(i) for i in range(5)], ["f0"])
    page, text = report(folder)
    policy = page.all("meta", http_equiv="Content-Security-Policy")[0]["content"]
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
    for element in page.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert element.get(name) is None or (name == "src" and element["src"].startswith("data:image/")), element
        assert not any(name.startswith("on") or name == "style" for name in element), element
    assert not re.search(r"@import|url\(", page.all("style")[0]["text"])
    if "no-plots" not in text:
        assert "Chart.js (MIT licence)" in page.text and "Permission is hereby granted" in page.text


def test_hostile():
    """Names, devices and events are never markup."""
    folder = live.folder() / "<img src=x onerror=alert(1)>"
    write(folder, [line(0, source=HOSTILE, stem="../../etc/passwd"), line(1, source="a\u0007\u2028b", stem="f1\u0000x"), line(2, stem="/etc/passwd")])
    (folder / "results.jsonl").write_bytes((folder / "results.jsonl").read_bytes() + b'{"frame_id": 3, "state": "LOST", "source": "\xff<i>", "stem": ""}\n')
    (folder / "kpi.log").write_text(f"ts=1000000000.5 event=device_error text={HOSTILE.replace(' ', '_')}\n", encoding="utf-8")
    (folder / "<script>x.json").write_text(json.dumps({"a</dd><script>": "</script><b>", "detector": HOSTILE}))
    (folder / "ab\n<u>.bin").write_text("x")
    page, text = report(folder, "--title", "</title></script>")
    scripts = page.all("script")
    assert [script.get("type") for script in scripts].count("application/json") == 1 and len(scripts) <= 3
    assert not page.all("b") and not page.all("i") and not page.all("u") and len(page.all("title")) == 1
    assert HOSTILE in page.text and "alert(1)</script>" not in text.split("<script type")[0]
    assert "%FF<i>" in page.text and "ab%0A<u>.bin" in page.text and page.text.count("its line names no picture") >= 3
    assert "root:" not in text
    assert page.all("span", class_="errors")[0]["text"] == "1"


def test_damaged():
    """What is there is reported, what is not is named."""
    folder = live.folder() / "out"
    whole = json.dumps(line(7))
    write(folder, [line(0), whole[:200] + "\n", "\n", '{"frame_id": 9}\n', '{"state": "LOST"}\n', "no JSON\n", line(5), "x" * 1100000 + "\n", "a\0b\n", line(8), whole[:-3]])
    (folder / "figures.json").write_text('{"detector": "dfine')
    (folder / "sonoseg_0001.igs.mhd").write_text("ObjectType = Image\nNDims = 3\n")
    (folder / "other_masks_0001.igs.mha").write_text("no header")
    (folder / "kpi.log").write_text("ts=1000000000.5 event=warmup ms=3\nhalf a li\nts=1000000001 event=device_error code=3\n")
    (folder / "kpi.log.1.gz").write_text("x")
    page, _ = report(folder)
    pairs = page.pairs()
    assert pairs["Frames with a result"] == "3" and pairs["Damaged lines"] == "8", pairs
    assert pairs["Frame numbers without a frame (failed, dropped, or not kept)"] == "6", pairs
    for wanted in ("line 2: no whole JSON object", "line 4: no state", "line 5: no frame_id", "line 8: longer than 1 MiB", "line 9: a zero byte",
                   "line 11: no whole JSON object", "figures.json: no whole JSON object", "sonoseg_0001.igs.mhd", "other_masks_0001.igs.mha: masks whose images",
                   "1 of 3 lines are no events, the first is line 2", "kpi.log.1.gz: compressed"):
        assert wanted in page.text, wanted
    assert page.all("span", class_="errors")[0]["text"] == "1"


def test_empty():
    folder = live.folder()
    page, _ = report(folder)
    assert "Nothing to report" in page.text and not page.all("section", data_series="0")
    (folder / "results.jsonl").write_text("")
    page, _ = report(folder)
    assert page.pairs()["Frames with a result"] == "0" and not page.all("canvas")
    for words in ((folder / "none",), (folder / "results.jsonl",)):
        run = live.run("report", *words)
        assert run.returncode == 1 and "cannot be read as a folder" in run.stderr, run
    for words in ((), (folder, folder), (folder, "--worst", "-1"), (folder, "--frames", "201"), (folder, "--wurst", "3")):
        assert live.run("report", *words).returncode == 2, words


def test_output():
    """A report may be made again; another file is not written over; nobody else reads it."""
    folder = live.folder()
    write(folder / "out", [line(0)])
    for _ in range(2):
        run = live.run("report", folder / "out/")
        assert run.returncode == 0 and "1 series, 1 frames" in run.stdout, run
    assert (folder / "out/report.html").stat().st_mode & 0o777 == 0o600
    page, _ = report(folder / "out")
    assert "report.html: a page" in page.text
    precious = folder / "precious.html"
    precious.write_text("<p>mine</p>")
    run = live.run("report", folder / "out", "--output", precious)
    assert run.returncode == 1 and "--force" in run.stderr and precious.read_text() == "<p>mine</p>", run
    assert live.run("report", folder / "out", "--output", precious, "--force", "--quiet").stdout == ""
    assert precious.read_text().startswith("<!DOCTYPE html>") and not list(folder.glob("*.part"))
    run = live.run("report", folder / "out", "--output", folder / "no/such/page.html")
    assert run.returncode == 1 and "page.html" in run.stderr, run


def test_evaluation():
    folder = live.folder()
    lines = [{"frame_id": i, "source": f"a{i}.png", "positive": True, "found": i != 2, "bbox_xyxy_px": [0, 0, 1, 1], "score": 0.5 + i / 10, "box_iou": 0.9,
              "mask_iou": None if i == 2 else 0.8 + i / 100, "dice": 0.9, "surface95_px": 1.0, "iou_predicted": 0.7} for i in range(4)]
    (folder / "frames.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    (folder / "figures.json").write_text(json.dumps({"version": "1", "detector": "dfine-n, 1 class", "ap50": 0.93, "bins": [1, 2]}))
    page, _ = report(folder)
    assert page.numbers("Mask IoU with the truth")[0] == 3 and page.numbers("Mask IoU with the truth")[-1] == 0.83
    pairs = page.pairs()
    assert pairs["ap50"] == "0.93" and pairs["detector"] == "dfine-n, 1 class" and "Latency" not in page.data
    assert not page.all("table", class_="states") and "No picture: evaluate keeps no pictures" in page.text


def test_large():
    """100,000 lines: the plots keep least and most, the page stays small, memory too."""
    folder = live.folder() / "out"
    frames = [line(i) for i in range(100000)]
    frames[77777]["latency_ms"]["total"] = 987.5
    frames[55555]["score"] = 0.0125
    write(folder, frames)
    began = time.monotonic()
    page, text = report(folder)
    took_s = time.monotonic() - began
    peak_mib = int(subprocess.run([sys.executable, "-c", MEASURE, live.command(), "report", str(folder), "--quiet"], capture_output=True, text=True,
                                  check=True).stdout) / 1024
    print(f"100,000 lines: {took_s:.1f} s, {peak_mib:.0f} MiB at most, a page of {len(text) / 1e6:.2f} MB")
    assert len(text) < 2e6 and (peak_mib < 100 or "san/" in live.command()) and took_s < 40
    latency, score = (page.data[name]["lines"][0]["points"] for name in ("c0-latency", "c0-score"))
    assert len(latency) <= 1500 and max(y for _, y in latency) == 987.5 and min(y for _, y in score) == 0.0125
    assert [x for x, _ in score] == sorted(x for x, _ in score)
    assert "100000 frames in 750 steps" in page.all("p", class_="soft downsampled")[0]["text"]
    check_numbers(page, frames)
    assert page.captions("slowest")[0].startswith("77777 ") and page.captions("lowest")[0].startswith("55555 ")


def test_recording():
    """Images, masks and states of serve: counts and values are the files'; each picture has its outline."""
    folder = live.folder()
    source = live.replay("phantom:frames=40,size=96x72", "--rate", "100", "--preload")
    service = live.serve(source.port, "--engine-kind", "null", "--record-folder", folder, "--record-name", "knee", "--log-events", folder / "events.log",
                         "--engine-null-fail-every", 7)
    assert source.wait() == 0
    time.sleep(0.5)
    assert service.stop() == 0, service.text
    head = next(folder.glob("knee_masks_0001.igs.mha")).read_bytes().split(b"ElementDataFile")[0].decode()
    fields = {}
    for name, value in re.findall(r"^Seq_Frame\d+_(\w+) = (.*)$", head, re.M):
        fields.setdefault(name, []).append(value)
    page, _ = report(folder)
    pairs = page.pairs()
    assert pairs["Images recorded"] == str(len(fields["State"])) and pairs["Analysed"] == str(fields["Processed"].count("1")), pairs
    assert pairs["Not analysed"] == str(fields["Processed"].count("0")) and pairs["DeviceName"], pairs
    for reason in set(fields["Reason"]) - {"OK"}:
        assert pairs[f"Mask not shown: {reason}"] == str(fields["Reason"].count(reason)), reason
    row = page.numbers("Latency")
    values = [float(value) for value in fields["EngineMs"]]
    assert row[0] == len(values) and abs(row[-1] - max(values)) < 0.006, row
    assert len(page.all("img")) > 20 and "No picture" not in page.text
    assert "sonoseg replay" in page.text and f"--input {folder}/knee_0001.igs.mha" in page.text
    assert "kind=null" in page.text, page.text
    assert page.all("table", class_="words events"), "the null engine's losses are errors"


def test_run():
    """What `run` says of itself: its command, as a shell takes it, models and settings; a file of that name of somebody else stays."""
    folder = live.folder() / "it's here"
    words = ("run", "--input", "phantom:frames=3,size=96x72", "--output", folder, "--detector-only", "--detector-size", "256x256", "--device", "cpu",
             "--quiet", "--threshold", "0.25", "--events", folder.parent / "kpi.log")
    run = live.run(*words)
    if run.returncode and "no detector" in run.stderr:
        print("test_run: no models here")
        return
    assert run.returncode == 0, run
    page, _ = report(folder)
    command = next(element["text"] for element in page.all("pre", class_="command"))
    assert shlex.split(command) == ["sonoseg", *map(str, words)], command
    pairs = page.pairs()
    assert pairs["threshold"] == "0.25" and pairs["state_mode"] == "score" and pairs["backend"] == "cpu" and "dfine" in pairs["detector"], pairs
    assert pairs["segmenter"] in ("none", "") and pairs["Frames with a result"] == "3" and not (folder / "kpi.log").exists()
    assert live.run(*words).returncode == 0, "our own is written over"
    (folder / "sonoseg_run.json").write_text("{}")
    assert live.run(*words).returncode == 0 and (folder / "sonoseg_run.json").read_text() == "{}"


def main():
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            began = time.monotonic()
            test()
            print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
    print("report: passed")


if __name__ == "__main__":
    main()
