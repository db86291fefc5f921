# SPDX-License-Identifier: Apache-2.0
"""The web page in headless Chromium (Debian: chromium, chromium-driver), driven by selenium out of build/venv-page
(scripts/venv.sh tests/live/page_requirements.txt build/venv-page). Whoever imports this goes on in that Python, or skips."""
import base64
import os
import pathlib
import sys
import time

import plus_source # puts the tests' folder on the path

import live

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
assert plus_source

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
except ImportError:
    PYTHON = live.ROOT / "build/venv-page/bin/python"
    if os.environ.get("SONO_IN_VENV") or not PYTHON.exists():
        live.skip("no selenium (scripts/venv.sh tests/live/page_requirements.txt build/venv-page)")
    os.environ["SONO_IN_VENV"] = "1"
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
if not (os.access(CHROMIUM, os.X_OK) and os.access(DRIVER, os.X_OK)):
    live.skip("no chromium and chromium-driver (scripts/setup.sh ci)")

# When what people see changes, by the browser's clock: [seconds, words of the state, is it greyed, words of the verdict].
WATCH = """
window.seen = [];
const look = () => {
  const now = [document.getElementById("state-name").textContent, document.body.classList.contains("old"),
               document.getElementById("level").textContent];
  const last = window.seen[window.seen.length - 1];
  if (!last || now.some((value, i) => value !== last[i + 1])) window.seen.push([Date.now() / 1000, ...now]);
};
new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
look();
"""


class Browser:
    """Chromium with one page in it."""

    def __init__(self, url, width, height):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        # --no-sandbox: as root, in a container, Chromium does not start otherwise.
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.downloads = live.folder()
        self.browser = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.browser.set_script_timeout(60)
        self.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))
        self.resize(width, height)
        self.browser.get(url)

    def command(self, name, **options):
        return self.browser.execute_cdp_cmd(name, options)

    def resize(self, width, height):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def script(self, text, *arguments):
        return self.browser.execute_script(text, *arguments)

    def problems(self):
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE" or "Content Security" in
                entry["message"]]

    def picture(self, path, height=None, scale=1):
        """A PNG of the whole page, or of its upper part."""
        width, whole = self.script("return [innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height or whole, whole), "scale": scale}
        shot = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self.browser.quit()


class Page(Browser):
    """The live page."""

    def __init__(self, port, width=1440, height=900, theme="light"):
        super().__init__(f"http://127.0.0.1:{port}/", width, height)
        self.theme(theme)
        self.script(WATCH)

    def click(self, name):
        self.script("document.getElementById(arguments[0]).click()", name)

    def theme(self, wanted):
        while self.script("return document.documentElement.dataset.theme") != wanted:
            self.click("theme")

    def text(self, name):
        return self.script("return document.getElementById(arguments[0]).textContent", name)

    def is_old(self):
        return self.script("return document.body.classList.contains('old')")

    def wait(self, what, is_so, timeout_s=10):
        deadline = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline:
                self.picture(pathlib.Path("page_failed.png"))
                raise AssertionError(f"not in {timeout_s} s: {what}; seen {self.seen()[-5:]}")
            time.sleep(0.03)

    def seen(self):
        return self.script("return window.seen")

    def when_seen(self, since, is_so):
        """Seconds since 1970 at which it was first seen so after `since`."""
        for moment in self.seen():
            if moment[0] >= since and is_so(moment):
                return moment[0]
        raise AssertionError(f"never seen: {self.seen()[-8:]}")
