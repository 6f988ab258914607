import { el } from './dom.js';
import { readBlocks, renderBlocks, splitOpen, TAB } from './markdown.js';

const WORK_SHARE = 4;  // rendering may take a quarter of the time: after t ms of it, nothing is rendered for WORK_SHARE·t

/// Renders a growing Markdown text. Blocks that are complete are rendered once and never touched again; only the last, open one is rendered
/// anew, at most once a frame and less often the longer it takes.
export class StreamRenderer {
  #target;
  #open = el('div', { class: 'open-block' });
  #tail = '';  // the text of the open block and what came since
  #timer = 0;
  #rendered = '';
  #notBefore = 0;
  #onRender;

  /// onRender is called after each change of the page.
  constructor(target, onRender = () => {}) {
    this.#target = target;
    this.#onRender = onRender;
    target.append(this.#open);
  }

  append(text) {
    this.#tail += text;
    if (this.#timer !== 0) return;
    const wait = Math.max(0, this.#notBefore - performance.now());
    this.#timer = setTimeout(() => requestAnimationFrame(() => this.#render(false)), wait);
  }

  /// Nothing more will come.
  finish() {
    clearTimeout(this.#timer);
    this.#render(true);
    this.#open.remove();
  }

  #render(last) {
    const began = performance.now();
    this.#timer = 0;
    if (!last && this.#tail === this.#rendered) return;
    const { closed, open, rest } = last ? { closed: readBlocks(this.#tail), open: [], rest: '' } : splitOpen(this.#tail);
    if (closed.length > 0) this.#open.before(renderBlocks(closed));
    this.#tail = rest;
    if (closed.length > 0 || !this.#growCode(open)) this.#open.replaceChildren(renderBlocks(open, { open: true }));
    this.#rendered = this.#tail;
    const now = performance.now();
    this.#notBefore = now + (now - began) * WORK_SHARE;
    this.#onRender(this.#target);
  }

  // An open code block only gets more text: its element stays, and with it what the reader selected.
  #growCode(blocks) {
    const code = this.#open.querySelector(':scope > .code-frame code');
    const text = code?.firstChild;
    if (blocks.length !== 1 || blocks[0].type !== 'code' || !text?.appendData) return false;
    const whole = blocks[0].text.replaceAll(TAB, '\t');
    const shown = text.data.replace(/\n$/, '');
    if (!whole.startsWith(shown) || this.#open.children.length !== 1) return false;
    text.replaceData(shown.length, text.data.length - shown.length, whole.slice(shown.length));
    return true;
  }
}
