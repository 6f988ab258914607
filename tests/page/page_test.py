#!/usr/bin/env python3
"""The page in headless Chromium, end to end against the mock server: what a person does, what a hostile answer tries, what a screen reader
needs. BALEEN_PAGE_FILES names files.txt of the build. Exit code 77 if no Chromium is installed."""

import json
import re
import sys
import tempfile
import unittest

import replies
from browser import missing
from page_case import DONE, LAST, PageTest, contrast


def setUpModule():
    PageTest.begin()


def tearDownModule():
    PageTest.end()


class ChatTest(PageTest):
    def test_streams_an_answer_with_its_usage(self):
        self.ask("hello there")
        self.assertEqual(self.answer(), "You said: hello there")
        self.assertRegex(self.browser.text(".usage"), r"^1,234 in \(617 cached\) · 120 out")
        body = self.server.bodies[-1]
        self.assertEqual(body["messages"], [{"role": "user", "content": "hello there"}])
        self.assertEqual((body["model"], body["stream"], body["stream_options"]), ("plankton", True, {"include_usage": True}))
        self.assertEqual((body["thinking"], body["reasoning_effort"]), ({"type": "enabled"}, "high"))
        self.assertNotIn("temperature", body)
        self.ask("and more")
        self.assertEqual([m["role"] for m in self.server.bodies[-1]["messages"]], ["user", "assistant", "user"])

    def test_shows_text_while_it_comes_and_stops(self):
        self.send("slow please")
        self.browser.until(f"return {LAST}?.innerText.includes('word5')")
        self.assertTrue(self.browser.run("return document.querySelector('#send').hidden"))
        cut = self.server.cut
        self.browser.click("#stop")
        self.browser.until(DONE)
        self.assertIn("You stopped this answer.", self.browser.run(f"return {LAST}.innerText"))
        words = self.answer()
        self.assertIn("word5", words)
        self.assertNotIn("word500", words)
        for _ in range(100):
            if self.server.cut > cut:
                break
            self.browser.run("return 1")
        self.assertGreater(self.server.cut, cut, "the server was not told to stop")

    def test_any_split_of_the_bytes_is_one_text(self):
        self.ask("split")
        self.assertEqual(self.answer(), "鲸鱼 🐋 swims")

    def test_thinking_is_folded_and_opens(self):
        self.ask("think about it")
        self.assertFalse(self.browser.run("return document.querySelector('.thinking').open"))
        self.assertRegex(self.browser.text(".thinking summary"), r"^Thought")
        self.browser.click(".thinking summary")
        self.browser.until("return document.querySelector('.thinking .prose strong')?.innerText === 'update rule'")
        self.browser.run("const s = document.querySelector('#thinking'); s.value = 'off'; s.dispatchEvent(new Event('change'))")
        self.ask("think no more")
        self.assertEqual(self.server.bodies[-1]["thinking"], {"type": "disabled"})
        self.assertNotIn("reasoning_effort", self.server.bodies[-1])
        self.assertTrue(self.browser.run(f"return {LAST}.querySelector('.thinking').hidden"))

    def test_edit_and_resend_drops_what_came_after(self):
        self.ask("first")
        self.ask("second")
        self.browser.click(".message.user:first-child .actions button")
        self.browser.run("document.querySelector('.editing textarea').value = ''")
        self.browser.type(".editing textarea", "changed\ue007")
        self.browser.until("return document.querySelectorAll('#messages > li').length === 2 && document.querySelector('#stop').hidden")
        self.assertEqual(self.answer(), "You said: changed")
        self.assertEqual(self.server.bodies[-1]["messages"], [{"role": "user", "content": "changed"}])

    def test_regenerate_asks_again(self):
        self.ask("once")
        self.browser.run(f"[...{LAST}.querySelectorAll('button')].find(b => b.innerText === 'Regenerate').click()")
        self.browser.until("return document.querySelector('#stop').hidden && document.querySelector('.usage') !== null")
        self.assertEqual([len(self.server.bodies), self.server.bodies[0]["messages"]], [2, self.server.bodies[1]["messages"]])
        self.assertEqual(self.browser.count(".answer"), 1)

    def test_markdown_code_and_formulas(self):
        self.ask("rich")
        self.browser.until("return document.querySelectorAll('.answer .katex').length >= 3 && document.querySelector('.hljs-keyword')")
        self.assertEqual(self.browser.text(".answer .prose h4"), "What to watch")
        self.assertEqual(self.browser.run("return document.querySelector('.answer td + td').align"), "right")
        self.assertIn("$5 and not $6", self.answer())
        self.assertTrue(self.browser.run("return [...document.querySelectorAll('.katex [style]')].length > 5"), "formulas lost their measures")
        self.browser.click(".copy")
        self.browser.until("return document.querySelector('.copy').innerText === 'Copied'")

    def test_streamed_and_whole_rendering_agree(self):
        self.ask("rich")
        self.browser.until("return document.querySelectorAll('.answer .katex').length >= 3 && document.querySelector('.hljs-keyword')")
        streamed = self.answer()
        self.browser.open(self.server.address + "/")
        self.browser.until("return document.querySelectorAll('.answer .katex').length >= 3 && document.querySelector('.hljs-keyword')")
        self.assertEqual(self.answer(), streamed)

    def test_any_split_of_a_text_is_rendered_alike(self):
        script = """
          const { readBlocks, renderBlocks, splitOpen } = await import('/app/markdown.js');
          const html = (...fragments) => {
            const box = document.createElement('div');
            box.append(...fragments);
            return box.innerHTML.replace(/\\s+/g, ' ');
          };
          const [text, longest, seed] = given;
          const whole = html(renderBlocks(readBlocks(text)));
          let state = seed, tail = '', at = 0;
          const parts = [];
          while (at < text.length) {
            state = (state * 1103515245 + 12345) % 2147483648;
            const length = 1 + state % longest;
            tail += text.slice(at, at + length);
            at += length;
            const { closed, rest } = splitOpen(tail);
            if (closed.length > 0) parts.push(renderBlocks(closed));
            tail = rest;
          }
          const pieces = parts.length;
          const streamed = html(...parts, renderBlocks(readBlocks(tail)));
          return [streamed === whole ? '' : streamed + ' INSTEAD OF ' + whole, pieces];
        """
        for text in (replies.RICH, replies.BLOCKS):
            for seed in range(24):
                difference, pieces = self.browser.run_async(script, text, (3, 12, 60)[seed % 3], seed)
                self.assertEqual(difference, "", f"seed {seed}")
                self.assertGreater(pieces, 3)

    def test_tabs_of_code_stay_tabs(self):
        self.ask("tabs")
        self.assertEqual(self.browser.run("return document.querySelector('.answer pre').textContent"), "all:\n\tcc -o a a.c\n\n\t@echo done\n")

    def test_a_huge_answer_does_not_block_the_page(self):
        self.browser.run("window.longest = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries())"
                         " window.longest = Math.max(window.longest, entry.duration); }).observe({entryTypes: ['longtask']})")
        self.ask("huge", limit=30)
        self.assertIn("last words", self.browser.run(f"return {LAST}.querySelector('article > .prose').textContent"))
        self.assertIn("most tokens", self.browser.text(".finish"))
        self.assertLess(self.browser.run("return window.longest"), 1500)
        shown = f"return [{LAST}.querySelectorAll('p').length, {LAST}.querySelectorAll('.code-frame').length]"
        streamed = self.browser.run(shown)
        self.assertGreater(streamed[0], 1500)
        self.browser.open(self.server.address + "/")
        self.assertEqual(self.browser.run(shown), streamed)

    def test_settings_reach_the_request(self):
        self.browser.click("#open-settings")
        for name, value in (("system", "Be brief."), ("temperature", "0.5"), ("top_p", "0.9"), ("top_k", "40"), ("min_p", "0.1"), ("presence_penalty", "0.2"),
                            ("frequency_penalty", "-0.3"), ("max_tokens", "99"), ("seed", "7")):
            self.browser.type(f"#set-{name}", value)
        self.browser.type("#set-stop", "END\nSTOP")
        self.browser.type("#set-temperature", "00000")  # 0.500000
        self.browser.run("const s = document.querySelector('#set-model'); s.value = 'plankton-large'; s.dispatchEvent(new Event('change'))")
        self.browser.press("escape")
        self.ask("hello")
        body = self.server.bodies[-1]
        self.assertEqual(body["messages"][0], {"role": "system", "content": "Be brief."})
        wanted = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "presence_penalty": 0.2, "frequency_penalty": -0.3, "max_tokens": 99, "seed": 7,
                  "stop": ["END", "STOP"], "model": "plankton-large"}
        self.assertEqual({name: body.get(name) for name in wanted}, wanted)

    def test_a_setting_out_of_bounds_is_named_and_not_sent(self):
        self.browser.click("#open-settings")
        self.browser.type("#set-temperature", "3")
        self.assertEqual(self.browser.text("#hint-temperature"), "a number from 0 to 2")
        self.browser.type("#set-tools", "[{]")
        self.assertIn("no JSON", self.browser.text("#hint-tools"))
        self.browser.press("escape")
        self.ask("hello")
        self.assertNotIn("temperature", self.server.bodies[-1])
        self.assertNotIn("tools", self.server.bodies[-1])

    def test_a_tool_call_is_shown_answered_and_goes_on(self):
        self.browser.click("#open-settings")
        self.browser.run("[...document.querySelectorAll('dialog button')].find(b => b.innerText === 'Put in an example').click()")
        self.browser.press("escape")
        self.send("tool What is the weather?")
        self.browser.until("return document.querySelector('#results-form') !== null")
        self.assertEqual(self.server.bodies[-1]["tools"][0]["function"]["name"], "get_weather")
        self.assertEqual(self.browser.text(".call-name"), "get_weather")
        self.browser.until("return document.activeElement.id === 'result-0'")
        self.assertEqual(self.browser.text(".call pre"), '{\n  "place": "Turku",\n  "days": 3\n}')
        self.browser.type("#results-form textarea", "rain")
        self.browser.click("#results-form button")
        self.browser.until("return [...document.querySelectorAll('.answer')].at(-1).innerText.includes('The tool said: rain')")
        sent = self.server.bodies[-1]["messages"]
        call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": replies.CALL["arguments"]}}
        self.assertEqual(sent[1], {"role": "assistant", "content": "", "reasoning_content": "I need the weather.", "tool_calls": [call]})
        self.assertEqual(sent[2], {"role": "tool", "tool_call_id": "call_1", "content": "rain"})
        self.assertEqual(self.browser.count("#results-form"), 0)


class KeepingTest(PageTest):
    def test_a_reload_keeps_conversations_and_delete_removes_them(self):
        self.ask("remember me")
        self.browser.click("#start")
        self.ask("and me")
        self.browser.open(self.server.address + "/")
        self.browser.until("return document.querySelectorAll('#conversations li').length === 2")
        self.assertEqual(self.browser.text("#title"), "and me")
        self.browser.click("#conversations li:nth-child(2) .open")
        self.assertEqual(self.answer(), "You said: remember me")
        self.browser.click("#conversations li:nth-child(2) button:last-child")
        self.browser.click("dialog .danger")
        self.browser.until("return document.querySelectorAll('#conversations li').length === 1")
        self.browser.open(self.server.address + "/")
        self.browser.until("return document.querySelector('#title').innerText === 'and me'")
        self.assertEqual(self.browser.count("#conversations li"), 1)

    def test_rename(self):
        self.ask("plain title")
        self.browser.click("#conversations li button:nth-child(2)")
        self.browser.type("#title-field", "A better one\ue007")
        self.browser.until("return document.querySelector('#title').innerText === 'A better one'")
        self.browser.open(self.server.address + "/")
        self.assertEqual(self.browser.text("#title"), "A better one")

    def test_export_comes_back_by_import(self):
        self.ask("carry me over")
        self.browser.run("window.saved = null; const make = URL.createObjectURL;"
                         "URL.createObjectURL = (blob) => { blob.text().then((t) => { window.saved = t; }); return make(blob); };"
                         "HTMLAnchorElement.prototype.click = () => {};")
        self.browser.click("#export")
        text = self.browser.until("return window.saved")
        self.assertEqual(json.loads(text)["conversations"][0]["messages"][0]["content"], "carry me over")
        self.fresh()
        self.import_text(text)
        self.browser.until("return document.querySelectorAll('#conversations li').length === 1")
        self.browser.click("#conversations li .open")
        self.assertEqual(self.answer(), "You said: carry me over")

    def import_text(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            self.browser.run("document.querySelector('#import-file').hidden = false")
            self.browser.put_file("#import-file", file.name)
            self.browser.until("return document.querySelector('#status').innerText.includes('imported') || document.querySelector('dialog') !== null")

    def test_a_damaged_import_is_refused_or_made_safe(self):
        self.import_text("{ not json")
        self.assertIn("no JSON", self.browser.text("dialog"))
        self.browser.press("escape")
        self.import_text('{"format": "other"}')
        self.assertIn("not exported by this page", self.browser.text("dialog"))
        self.browser.press("escape")
        answer = {"role": "assistant", "content": "<img src=x onerror='window.hacked=1'>", "calls": [{"name": 1}], "usage": "x"}
        odd = {"title": 7, "settings": {"system": {}}, "messages": [None, 3, {"role": "user", "content": {}}, answer, {"role": "tool"}]}
        self.import_text(json.dumps({"format": "baleen-conversations", "conversations": [odd, None, 5]}))
        self.browser.click("#conversations li .open")
        self.assertIn("<img", self.browser.text(".answer"))
        self.assertIsNone(self.browser.run("return window.hacked ?? null"))

    def test_a_browser_without_a_database_keeps_them_too(self):
        script = self.browser.cdp("Page.addScriptToEvaluateOnNewDocument", source="indexedDB.open = () => { throw new Error('off'); }")["identifier"]
        try:
            self.browser.open(self.server.address + "/")
            self.ask("keep this")
            self.browser.open(self.server.address + "/")
            self.assertEqual(self.answer(), "You said: keep this")
            self.assertEqual(self.browser.count("#conversations li"), 1)
        finally:
            self.browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script)

    def test_an_answer_goes_on_while_another_conversation_is_open(self):
        self.send("slow please")
        self.browser.until(f"return {LAST}?.innerText.includes('word2')")
        self.browser.click("#start")
        self.assertEqual(self.browser.count("#messages li"), 0)
        self.ask("meanwhile")
        self.browser.click("#conversations li:nth-child(2) .open")
        self.browser.until(f"return {LAST}?.innerText.includes('word30')")
        self.browser.press("escape")
        self.browser.until("return document.querySelector('#stop').hidden")


class TroubleTest(PageTest):
    def problem(self, text):
        self.send(text)
        return self.browser.until("const p = document.querySelector('.problem:not([hidden])');"
                                  "return p && document.querySelector('#stop').hidden && p.innerText")

    def test_refusals_are_said_in_words(self):
        for text, expected in (("busy", "Try again in 7 s."), ("overloaded", "cannot take requests now"), ("wrong", "expected a number from 0 to 2"),
                               ("broken", "The server failed on this request."), ("cut", "connection"), ("inside", "the engine stalled")):
            with self.subTest(text):
                self.browser.click("#start")
                self.assertIn(expected, self.problem(text))
        self.assertIn("It began well", self.answer())
        self.assertEqual(self.browser.run(f"return [...{LAST}.querySelectorAll('button')].at(-1).innerText"), "Try again")

    def test_a_key_is_asked_for_and_forgotten_with_the_tab(self):
        self.server.key = "sk-right"
        self.browser.open(self.server.address + "/")
        self.browser.until("return document.querySelector('#key-field') !== null")
        self.assertEqual(self.browser.run("return document.activeElement.id"), "key-field")
        self.browser.type("#key-field", "sk-right\ue007")
        self.browser.until("return document.querySelector('dialog') === null")
        self.ask("hello")
        self.assertEqual(self.answer(), "You said: hello")
        self.assertIsNone(self.browser.run("return localStorage.getItem('baleen.key')"))
        self.assertEqual(self.browser.run("return sessionStorage.getItem('baleen.key')"), "sk-right")

    def test_a_remembered_key_stays(self):
        self.server.key = "sk-right"
        self.browser.open(self.server.address + "/")
        self.browser.until("return document.querySelector('#key-field') !== null")
        self.browser.click("#key-remember")
        self.browser.type("#key-field", "sk-right\ue007")
        self.browser.until("return localStorage.getItem('baleen.key') === 'sk-right'")

    def test_hostile_answers_run_nothing(self):
        for _ in range(2):  # streamed, and rendered whole after a reload
            if self.browser.count(".answer") == 0:
                self.ask("hostile", limit=20)
            self.assertIn("The end of it.", self.answer())
            self.browser.run("for (const d of document.querySelectorAll('details')) d.open = true")
            links = self.browser.run("return [...document.querySelectorAll('.answer a')].map((a) => a.href)")
            self.assertEqual([href for href in links if not re.match(r"(https?|mailto):", href)], [])
            self.assertEqual(self.browser.count(".answer :is(script, iframe, img, style, base, form, object, embed, link, meta)"), 0)
            handlers = "return [...document.querySelectorAll('.answer *')].flatMap((e) => [...e.attributes]).filter((a) => a.name.startsWith('on')).length"
            self.assertEqual(self.browser.run(handlers), 0)
            self.browser.run("for (const a of document.querySelectorAll('.answer a')) {"
                             " a.addEventListener('click', (e) => { if (/^https?:/.test(a.href)) e.preventDefault(); }); a.click(); }")
            self.assertIsNone(self.browser.run("return window.hacked ?? null"))
            self.assertTrue(self.browser.run("return getComputedStyle(document.body).display !== 'none' && document.baseURI.startsWith(location.origin)"))
            self.browser.open(self.server.address + "/")

    def test_the_policy_is_in_force(self):
        self.browser.run("const s = document.createElement('script'); s.textContent = 'window.inline = 1'; document.body.append(s);"
                         "const i = document.createElement('div'); i.innerHTML = '<img src=x onerror=\"window.inline = 2\">'; document.body.append(i);")
        self.browser.run("return new Promise((resolve) => setTimeout(resolve, 200))")
        self.assertIsNone(self.browser.run("return window.inline ?? null"))
        reported = any("Content Security Policy" in entry["message"] for entry in self.browser.log())
        self.assertTrue(reported, "the violation was not reported, so the other tests would not see one")
        self.server.outside.clear()


class UseTest(PageTest):
    def test_keyboard_alone(self):
        self.assertEqual(self.browser.run("return document.activeElement.id"), "composer-text")
        for key in "hi":
            self.browser.press(key)
        self.browser.press("shift", "enter")
        self.browser.press("y")
        self.browser.press("enter")
        self.browser.until(DONE)
        self.assertEqual(self.server.bodies[-1]["messages"][0]["content"], "hi\ny")
        self.assertEqual(self.browser.run("return document.activeElement.id"), "composer-text")
        self.browser.press("control", "k")
        self.browser.until("return document.querySelectorAll('#messages li').length === 0")
        self.browser.run("document.activeElement.blur()")
        self.browser.press("?")
        self.assertIn("Keyboard", self.browser.text("dialog"))
        self.browser.press("escape")
        self.browser.until("return document.querySelector('dialog') === null")
        self.browser.run("document.activeElement.blur()")
        self.browser.press("/")
        self.assertEqual(self.browser.run("return document.activeElement.id"), "composer-text")
        self.assertEqual(self.browser.run("return document.activeElement.value"), "")
        self.send("slow please")
        self.browser.until(f"return {LAST}?.innerText.includes('word1')")
        self.browser.press("escape")
        self.browser.until(DONE)
        self.assertIn("You stopped", self.browser.text(".finish"))

    def test_every_tab_stop_shows_its_focus(self):
        self.ask("rich")
        self.browser.run("document.querySelector('#skip').focus({focusVisible: true})")
        seen = set()
        for _ in range(60):
            stop = self.browser.run("const e = document.activeElement, s = getComputedStyle(e), f = e.closest('.field');"
                                    "const shown = (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0)"
                                    " || (f && getComputedStyle(f).boxShadow !== 'none');"
                                    "return e === document.body ? null : [e.id || e.className || e.tagName, e.innerText?.slice(0, 20) ?? '', shown]")
            if stop is None:
                break
            self.assertTrue(stop[2], f"the focus cannot be seen on {stop}")
            seen.add(stop[0])
            self.browser.press("tab")
        for wanted in ("skip", "start", "export", "to-dashboard", "open-settings", "composer-text", "thinking", "send"):
            self.assertIn(wanted, seen)

    def test_every_control_has_a_name_and_headings_descend(self):
        self.ask("rich")
        self.browser.click("#open-settings")
        self.check_names()
        self.browser.press("escape")
        self.browser.run("location.hash = '#/dashboard'")
        self.browser.until("return document.querySelectorAll('.chart').length === 2")
        self.check_names()

    def check_names(self):
        nodes = self.browser.cdp("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "link", "textbox", "combobox", "spinbutton", "checkbox", "searchbox", "image", "img", "dialog", "main", "navigation"}
        controls = [node for node in nodes if not node.get("ignored") and node.get("role", {}).get("value") in roles]
        self.assertGreater(len(controls), 5)
        self.assertEqual([node["role"]["value"] for node in controls if not node.get("name", {}).get("value")], [])
        levels = self.browser.run("return [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')]"
                                  ".filter((h) => h.checkVisibility() && !h.closest('dialog')).map((h) => +h.tagName[1])")
        self.assertEqual(levels[0], 1)
        self.assertEqual(levels.count(1), 1)
        for above, below in zip(levels, levels[1:]):
            self.assertLessEqual(below, above + 2, levels)

    def test_a_stream_is_announced_once(self):
        self.browser.run("window.said = []; new MutationObserver(() => {"
                         " const t = document.querySelector('#status').innerText; if (t) window.said.push(t); })"
                         ".observe(document.querySelector('#status'), {childList: true, characterData: true, subtree: true})")
        self.ask("rich")
        said = self.browser.until("return window.said.some((t) => t.startsWith('Answer complete')) && window.said")
        self.assertEqual(said[0], "Answering")
        self.assertLessEqual(len(said), 2)
        self.assertEqual(self.browser.count("#messages [aria-live]"), 0)

    def test_dark_and_light(self):
        ground = "return getComputedStyle(document.body).backgroundColor"
        light = self.browser.run(ground)
        self.browser.prefer(prefers_color_scheme="dark")
        dark = self.browser.run(ground)
        self.assertNotEqual(light, dark)
        self.browser.click("#theme")
        self.assertEqual(self.browser.run(ground), light)
        self.browser.open(self.server.address + "/")
        self.assertEqual(self.browser.run(ground), light, "the choice was not kept")
        self.browser.click("#theme")
        self.assertEqual(self.browser.run(ground), dark)

    def test_contrast_of_the_colours(self):
        texts = {"--text": ["--ground", "--surface", "--side", "--raised", "--bubble", "--code-ground", "--problem-ground"],
                 "--muted": ["--ground", "--surface", "--side", "--raised", "--code-ground"], "--accent": ["--ground", "--surface", "--bubble"],
                 "--on-accent": ["--accent"], "--danger": ["--surface"]}
        texts |= {f"--code-{part}": ["--code-ground"] for part in ("keyword", "string", "number", "comment", "name")}
        lines = {"--edge": ["--surface", "--ground"], "--accent": ["--surface"], "--second": ["--surface"]}
        for scheme in ("light", "dark"):
            self.browser.prefer(prefers_color_scheme=scheme)
            for least, pairs in ((4.5, texts), (3.0, lines)):
                for ink, grounds in pairs.items():
                    for ground in grounds:
                        self.assertGreaterEqual(contrast(self.colour(ink), self.colour(ground)), least, f"{scheme}: {ink} on {ground}")

    def colour(self, name):
        value = self.browser.run("const probe = document.body.appendChild(document.createElement('i')); probe.style.color = `var(${arguments[0]})`;"
                                 " const colour = getComputedStyle(probe).color; probe.remove(); return colour", name)
        self.assertRegex(value, r"^rgb\(\d+, \d+, \d+\)$")
        return [int(part) for part in re.findall(r"\d+", value)]

    def test_phone_size_has_no_sideways_scroll(self):
        self.browser.resize(360, 740, mobile=True)
        self.browser.open(self.server.address + "/")
        self.ask("rich and_a_very_long_word_" + "x" * 200)
        wide = "return document.scrollingElement.scrollWidth > innerWidth || document.querySelector('#scroll').scrollWidth > innerWidth"
        self.assertFalse(self.browser.run(wide))
        self.browser.click("#open-side")
        self.browser.until("return document.querySelector('#side').getBoundingClientRect().left >= 0")
        self.assertEqual(self.browser.run("return document.activeElement.id"), "close-side")
        self.browser.press("escape")
        self.browser.until("return getComputedStyle(document.querySelector('#side')).visibility === 'hidden'")
        self.browser.run("location.hash = '#/dashboard'")
        self.browser.until("return document.querySelectorAll('.chart').length === 2")
        self.assertFalse(self.browser.run("return document.querySelector('#dashboard').scrollWidth > innerWidth"))
        self.browser.run("location.hash = '#/'")

    def test_dashboard_shows_the_numbers(self):
        self.browser.run("location.hash = '#/dashboard'")
        self.browser.until("return document.querySelector('.line-1')?.getAttribute('d').includes('L')", limit=12)
        text = self.browser.text("#dashboard")
        for wanted in ("plankton", "61.3 %", "200 ms", "1.40 s", "weights", "14.3 GiB", "place 1", "78.9 %", "thesis", "$0.0624", "1 waiting"):
            self.assertIn(wanted, text)
        self.assertRegex(self.browser.run("return document.querySelector('.chart').getAttribute('aria-label')"), r"Tokens per second: out [\d.]+")
        polls = self.server.polls
        self.server.ledger = False
        self.browser.until("return document.querySelector('#dashboard').innerText.includes('keeps no ledger')")
        self.assertGreater(self.server.polls, polls)
        self.browser.run("location.hash = '#/'")
        self.assertTrue(self.browser.run("return document.querySelector('#dashboard').hidden && !document.querySelector('#chat').hidden"))


if __name__ == "__main__":
    if missing():
        print(f"skipped: {missing()} not found; install the packages chromium and chromium-driver")
        sys.exit(77)
    unittest.main(verbosity=2)
