# SPDX-License-Identifier: Apache-2.0
# labels: slow serial timeout=180
"""The page of `sonoseg report` in Chromium: it runs under its own policy, draws its plots in light, dark and on paper, moves nowhere sideways,
and axe finds nothing that keeps people out."""
import json
import sys

import page_browser # goes on in the Python that has selenium
import plus_source # puts the tests' folders on the path
from axe_selenium_python import Axe

import live

sys.path.insert(0, str(live.ROOT / "tests/cli"))
import test_report # noqa: E402

assert plus_source
DRAWN = """
return [...document.querySelectorAll("canvas")].map(canvas => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, seen = new Set();
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) seen.add(data.slice(i, i + 3).join());
  return [canvas.id, [...seen]];
});"""
INK = "return getComputedStyle(document.body).color + getComputedStyle(document.querySelector('section')).backgroundColor"


def make_folder():
    folder = live.folder() / "out"
    frames = [test_report.line(i, source=test_report.HOSTILE, parts={"quality": 600 + i % 7, "frame_agreement": None}) for i in range(3000)]
    test_report.write(folder, frames, [f"f{i}" for i in range(0, 3000, 3)])
    (folder / "kpi.log").write_text("ts=1000000000.5 event=backend_fallback wanted=cuda\n" * 3)
    assert live.run("report", folder, "--title", "</script><script>document.title='broken'</script>").returncode == 0
    return folder, frames


def check_axe(page, where):
    axe = Axe(page.browser)
    axe.inject()
    found = [(violation["id"], [node["target"] for node in violation["nodes"]]) for violation in axe.run()["violations"]]
    assert not found, (where, found)


def check_drawn(page, where):
    drawn = dict(page.script(DRAWN))
    has_charts = page.script("return !!window.Chart")
    assert not has_charts or set(drawn) == {f"c0-{name}" for name in ("score", "quality", "latency", "histogram", "area", "surface")}, drawn.keys()
    for name, colours in drawn.items() if has_charts else ():
        assert len(colours) > 3, (where, name, colours)
    return drawn


def check_looks(page):
    drawn = {}
    for theme, width in (("light", 1200), ("dark", 1200), ("dark", 430)):
        page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        page.resize(width, 900)
        page.script("return new Promise(done => setTimeout(done, 300))")
        drawn[theme] = check_drawn(page, (theme, width))
        check_axe(page, (theme, width))
        assert page.script("return document.documentElement.scrollWidth") <= width, "the page moves sideways"
    assert drawn["light"] != drawn["dark"]
    page.resize(1200, 900)


def check_paper(page):
    """Somebody with a dark screen prints: ink on white, and the screen is dark again behind it."""
    dark = page.script(INK)
    page.command("Page.printToPDF", printBackground=True)
    assert page.script(INK) == dark
    page.command("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    page.script("dispatchEvent(new Event('beforeprint'))")
    assert page.script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.script("return getComputedStyle(document.body).color") == "rgb(20, 25, 30)"
    check_drawn(page, "paper")
    page.script("dispatchEvent(new Event('afterprint'))")
    page.command("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": "light"}])


def check_values(page, frames):
    """What a browser makes of it is what the file says."""
    assert page.browser.title == "</script><script>document.title='broken'</script> - sonoseg report"
    assert page.script("return document.querySelector('h1').textContent") == "</script><script>document.title='broken'</script>"
    row = page.script("return [...document.querySelectorAll('tr[data-value=Latency] td')].map(cell => Number(cell.textContent))")
    values = [frame["latency_ms"]["total"] for frame in frames]
    for shown, percent in zip(row[2:], (0, 50, 95, 99, 100)):
        assert abs(shown - test_report.percentile(values, percent)) <= 0.00501, row
    points = json.loads(page.script("return document.getElementById('data').textContent"))[0]["lines"][0]["points"]
    assert max(y for _, y in points) == max(frame["score"] for frame in frames)
    assert page.script("return [...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert test_report.HOSTILE in page.script("return document.body.textContent")
    assert page.script("return document.querySelectorAll('section b, section script').length") == 0


def main():
    folder, frames = make_folder()
    page = page_browser.Browser(f"file://{folder}/report.html", 1200, 900)
    check_values(page, frames)
    check_looks(page)
    check_paper(page)
    assert not page.problems(), page.problems()
    page.close()
    print("the report's page: passed")


if __name__ == "__main__":
    main()
