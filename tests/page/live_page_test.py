"""The page in headless Chromium against `baleen serve` itself: a conversation, stopping, the dashboard, a key that is asked for."""

import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "server"))

import browser as chromium
import server_process
from page_case import DONE

SHOTS = os.environ.get("BALEEN_PAGE_SHOTS")  # a folder, to look at what is tested


class LivePageTest(server_process.Case):
    FLAGS = ("--api-key", "a-key-for-the-page")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = chromium.Browser()
        cls.browser.open(f"http://127.0.0.1:{cls.server.port}/")

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        super().tearDownClass()

    def shot(self, name):
        if SHOTS:
            self.browser.screenshot(pathlib.Path(SHOTS, name + ".png"))

    def send(self, text):
        self.browser.type("#composer-text", text + "\ue007")

    def test_a_conversation_from_the_key_to_the_dashboard(self):
        page = self.browser
        page.until("return document.querySelector('dialog[open] input[type=password]') !== null", limit=20)
        self.shot("key")
        page.type("dialog[open] input[type=password]", "a-key-for-the-page\ue007")
        page.until("return document.querySelector('dialog[open]') === null")
        self.send("35+4")
        page.until(DONE, limit=30)
        self.assertEqual(page.run("return document.querySelector('.message.user .said').textContent"), "35+4")
        self.shot("conversation")
        self.send("Tell me a story")
        page.until(DONE, limit=60)
        self.assertEqual(page.run("return document.querySelectorAll('.answer').length"), 2)
        self.shot("story")
        page.resize(390, 844, mobile=True)
        self.assertLessEqual(page.run("return document.documentElement.scrollWidth"), 390)
        self.shot("phone")
        page.resize(1280, 800)
        page.run("location.hash = '#/dashboard'")
        page.until("return /plankton/.test(document.querySelector('#dashboard').innerText)", limit=20)
        page.until("return document.querySelectorAll('#dashboard svg').length > 0", limit=20)
        self.shot("dashboard")
        page.run("location.hash = '#/'")
        log = [entry["message"] for entry in page.log() if entry["level"] == "SEVERE" and "status of 401" not in entry["message"]]
        self.assertEqual(log, [])


if __name__ == "__main__":
    if chromium.missing():
        print(f"skipped: {chromium.missing()} is not installed; apt-get install chromium chromium-driver")
        sys.exit(77)
    unittest.main()
