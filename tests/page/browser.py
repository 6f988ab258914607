"""A headless Chromium over the W3C WebDriver protocol, with the standard library only."""

import base64
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"enter": "\ue007", "escape": "\ue00c", "tab": "\ue004", "shift": "\ue008", "control": "\ue009", "space": "\ue00d"}


def missing():
    """What is not installed, in words; '' if all is there."""
    return ", ".join(name for name in ("chromium", "chromedriver") if shutil.which(name) is None)


class Timeout(AssertionError):
    pass


class Browser:
    """One window. Everything that is not found or does not become true within the limit is an AssertionError."""

    def __init__(self, width=1280, height=800):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.session = None
        try:
            self.address = f"http://127.0.0.1:{self._port()}"
            self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": self._capabilities(width, height)}})["sessionId"]
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _capabilities(width, height):
        arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--hide-scrollbars", "--force-color-profile=srgb", f"--window-size={width},{height}"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")  # Chromium refuses its sandbox to root
        return {"browserName": "chrome", "goog:chromeOptions": {"args": arguments, "binary": shutil.which("chromium")}, "goog:loggingPrefs": {"browser": "ALL"}}

    def _port(self):
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return found.group(1)
        raise AssertionError("chromedriver ended before it listened")

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise AssertionError(f"{method} {path}: {value['error']}: {value['message'][:500]}") from None

    def _session(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def close(self):
        if self.session is not None:
            try:
                self._session("DELETE", "")
            except (AssertionError, OSError):
                pass
        self.driver.terminate()
        self.driver.wait(10)
        self.driver.stdout.close()

    def cdp(self, command, **parameters):
        return self._session("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width, height, mobile=False):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def prefer(self, **features):
        """prefer(prefers_color_scheme="dark")"""
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def open(self, address):
        self._session("POST", "/url", {"url": address})
        self.until("return document.body.dataset.ready === 'true'")

    def run(self, script, *arguments):
        return self._session("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script, *arguments):
        """The value of a script that may await."""
        script = f"const done = arguments[arguments.length - 1]; (async (...given) => {{ {script} }})(...arguments).then(done, (error) => done(String(error)));"
        return self._session("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def until(self, script, *arguments, limit=8.0):
        """Waits until the script returns something true, and gives it."""
        ends = time.monotonic() + limit
        while True:
            value = self.run(script, *arguments)
            if value:
                return value
            if time.monotonic() > ends:
                raise Timeout(f"not true within {limit} s: {script} {arguments or ''}")
            time.sleep(0.03)

    def find(self, css):
        return self._session("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        self._session("POST", f"/element/{self.find(css)}/click", {})

    def type(self, css, text):
        self._session("POST", f"/element/{self.find(css)}/value", {"text": text})

    def put_file(self, css, path):
        self._session("POST", f"/element/{self.find(css)}/value", {"text": path})

    def press(self, *keys):
        """Keys pressed together, then released; names of KEYS or single characters. The focus decides where they go."""
        codes = [KEYS.get(key, key) for key in keys]
        actions = [{"type": "keyDown", "value": code} for code in codes] + [{"type": "keyUp", "value": code} for code in reversed(codes)]
        self._session("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def text(self, css):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? null", css)

    def count(self, css):
        return self.run("return document.querySelectorAll(arguments[0]).length", css)

    def name(self, css):
        """The accessible name, as the browser computes it."""
        return self._session("GET", f"/element/{self.find(css)}/computedlabel")

    def log(self):
        """The console since the last call, the browser's own complaints included."""
        return self._session("POST", "/se/log", {"type": "browser"})

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self._session("GET", "/screenshot")))
