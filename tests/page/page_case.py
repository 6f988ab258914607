"""What the tests of the page share."""

import os
import unittest

import mock_server
from browser import Browser

DONE = ("return document.querySelector('#messages .usage, #messages .problem:not([hidden])') !== null && document.querySelector('#stop').hidden"
        " && document.querySelector('#conversations').ariaBusy === 'false'")
LAST = "[...document.querySelectorAll('.answer')].at(-1)"


class PageTest(unittest.TestCase):
    """One server and one browser for all tests; each begins in a browser that was never here and ends with a clean console."""

    server = None
    browser = None

    @classmethod
    def begin(cls):
        cls.server = mock_server.Server(os.environ["BALEEN_PAGE_FILES"]).start()
        cls.browser = Browser()

    @classmethod
    def end(cls):
        cls.browser.close()
        cls.server.shutdown()
        cls.server.server_close()

    def setUp(self):
        self.server.key = None
        self.server.ledger = True
        self.browser.resize(1280, 800)
        self.browser.prefer(prefers_color_scheme="light")
        self.fresh()
        self.server.bodies.clear()
        self.server.outside.clear()

    def fresh(self):
        """A browser that was never here."""
        self.browser.cdp("Storage.clearDataForOrigin", origin=self.server.address, storageTypes="all")
        self.browser.cdp("Page.navigate", url="about:blank")
        self.browser.open(self.server.address + "/")
        self.browser.run("sessionStorage.clear()")
        self.browser.log()

    def tearDown(self):
        complaints = [entry["message"] for entry in self.browser.log() if entry["level"] in ("SEVERE", "WARNING") and "status of 4" not in entry["message"]
                      and "status of 5" not in entry["message"] and "ERR_INCOMPLETE_CHUNKED" not in entry["message"]]
        self.assertEqual(complaints, [], "the browser complains: a violated policy or an error in a script")
        self.assertEqual(self.server.outside, [], "the page asked for what is not there")

    def send(self, text):
        self.browser.type("#composer-text", text + "\ue007")

    def ask(self, text, limit=10.0):
        self.send(text)
        self.browser.until(DONE, limit=limit)

    def answer(self):
        return self.browser.run(f"return {LAST}.querySelector('article > .prose').innerText")


def contrast(first, second):
    def light(colour):
        parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((light(first), light(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)
