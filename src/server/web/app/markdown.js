import { marked } from '/lib/marked.js';
import DOMPurify from '/lib/purify.js';
import { copyText, el } from './dom.js';

// Markdown becomes a fragment of the page in three steps: marked writes HTML (raw HTML in the text is shown as text), DOMPurify keeps only
// the elements and attributes listed here, and what is left is finished with DOM calls: copy buttons, highlighted code, formulas.

// Debian 12's DOMPurify reads an undeclared variable once before it starts, by a slip of its backported fix; the checks meant stand in its loop.
globalThis.shadowNode ??= Object.freeze({ __depth: 0 });

const CLEAN = {
  ALLOWED_TAGS: ['p', 'br', 'hr', 'h3', 'h4', 'h5', 'h6', 'strong', 'em', 'del', 'code', 'pre', 'blockquote', 'ul', 'ol', 'li', 'table', 'thead',
    'tbody', 'tr', 'th', 'td', 'a', 'span', 'div', 'input'],
  ALLOWED_ATTR: ['href', 'title', 'class', 'align', 'start', 'type', 'checked', 'disabled'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ADD_URI_SAFE_ATTR: ['align', 'start', 'type', 'checked', 'disabled'],  // never addresses: the expression above is not for them
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};
const LONGEST_BLOCK = 200000;  // characters of one block that are still read as Markdown
const PIECE = 50000;  // characters that are read at once
const LONGEST_CODE = 60000;  // … that are still highlighted
export const TAB = '\uE009';  // stands for a tab inside a code fence, which marked would turn into spaces

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
export const escapeHtml = (text) => text.replace(/[&<>"']/g, (character) => escapes[character]);

const isWebAddress = (href) => /^(?:https?|mailto):/i.test(href ?? '');

function mathExtension(name, level, starts, patterns) {
  return {
    name, level,
    start: (source) => starts(source),
    tokenizer(source) {
      for (const { pattern, display, open } of patterns) {
        const match = pattern.exec(source);
        if (match) return { type: name, raw: match[0], tex: (match[1] ?? match[0]).trim(), display, open: open === true };
      }
      return undefined;
    },
    renderer(token) {
      if (token.open) return `<p>${escapeHtml(token.raw)}</p>`;
      return token.display ? `<div class="formula">${escapeHtml(token.tex)}</div>` : `<span class="formula">${escapeHtml(token.tex)}</span>`;
    },
  };
}

const blockMath = mathExtension('blockMath', 'block', (source) => source.search(/^(?:\$\$|\\\[)/m), [
  { pattern: /^\$\$((?:[^$\\]|\\[\s\S]|\$(?!\$))+?)\$\$[ \t]*(?:\n|$)/, display: true },
  { pattern: /^\\\[([\s\S]+?)\\\][ \t]*(?:\n|$)/, display: true },
  { pattern: /^(?:\$\$|\\\[)(?:(?!\n[ \t]*\n|\$\$|\\\])[\s\S])+$/, display: true, open: true },
]);
const inlineMath = mathExtension('inlineMath', 'inline', (source) => source.search(/\$|\\[([]/), [
  { pattern: /^\$\$((?:[^$\\\n]|\\.)+?)\$\$/, display: true },
  { pattern: /^\\\[((?:[^\\]|\\[^\]])+?)\\\]/, display: true },
  { pattern: /^\\\(((?:[^\\\n]|\\[^)\n])+?)\\\)/, display: false },
  { pattern: /^\$(?![\s$\d][^$]*\s\$)((?:[^$\\\n]|\\.)*?[^$\\\s])\$(?!\d)/, display: false },
]);
inlineMath.renderer = (token) => `<span class="formula${token.display ? ' display' : ''}">${escapeHtml(token.tex)}</span>`;

marked.use({
  gfm: true, breaks: false, headerIds: false, mangle: false,
  extensions: [blockMath, inlineMath, { name: 'plain', renderer: (token) => `<p class="verbatim">${escapeHtml(token.raw)}</p>` }],
  renderer: {
    html: (html) => escapeHtml(html),
    heading: (text, level) => `<h${Math.min(6, level + 2)}>${text}</h${Math.min(6, level + 2)}>`,
    image: (href, title, text) => (isWebAddress(href) ? `<a href="${escapeHtml(href)}">Image: ${escapeHtml(text || href)}</a>` : escapeHtml(text)),
    link: (href, title, text) => (isWebAddress(href) ? `<a href="${escapeHtml(href)}">${text}</a>` : text),
  },
});

// The text as marked will cut it, with the tabs inside code fences guarded, and whether its last fence is open.
function readFences(text) {
  let fence = '';
  const lines = text.replaceAll('\r', '').split('\n').map((line) => {
    const mark = /^ {0,3}(```+|~~~+)/.exec(line)?.[1] ?? '';
    if (fence === '') fence = mark;
    else if (mark.startsWith(fence) && line.trim() === mark) fence = '';
    else return line.replaceAll('\t', TAB);
    return line.replace(/^( *)(\t+)/, (_, spaces, tabs) => spaces + '    '.repeat(tabs.length));
  });
  return { guarded: lines.join('\n'), open: fence !== '' };
}

function cut(text) {
  if (text.length > LONGEST_BLOCK) return { blocks: [{ type: 'plain', raw: text }], guarded: text };
  try {
    const { guarded, open } = readFences(text);
    // marked sees an open fence only where a line ends.
    return { blocks: marked.lexer(open && !guarded.endsWith('\n') ? `${guarded}\n` : guarded), guarded };
  } catch {
    return { blocks: [{ type: 'plain', raw: text }], guarded: text };  // nested too deeply for marked
  }
}

function splitPiece(text) {
  const { blocks, guarded } = cut(text);
  const before = (at) => {
    let found = at - 1;
    while (found > 0 && blocks[found].type === 'space') found -= 1;
    return found;
  };
  let last = before(blocks.length);
  // "2" or "-" may become the next item of the list before it.
  if (last > 0 && /^ {0,3}(?:\d{1,9}[.)]?|[-*+]+)\s*$/.test(blocks[last].raw)) last = before(last);
  const closed = blocks.slice(0, Math.max(0, last));
  // By lengths: marked may put a line break where a space stood behind the last block.
  const rest = guarded.slice(closed.reduce((length, block) => length + block.raw.length, 0));
  return { closed, open: blocks.slice(closed.length), rest };
}

/// Splits a text that still grows: blocks nothing can be added to any more, the open ones behind them, and the text of those.
export function splitOpen(text) {
  const closed = [];
  let piece = splitPiece(text.slice(0, PIECE));
  for (let at = PIECE; at < text.length; at += PIECE) {
    closed.push(...piece.closed);
    piece = splitPiece(piece.rest + text.slice(at, at + PIECE));
  }
  return { closed: [...closed, ...piece.closed], open: piece.open, rest: piece.rest };
}

/// The blocks of a text that is complete.
export function readBlocks(text) {
  const { closed, open } = splitOpen(text);
  return [...closed, ...open];
}

/// Blocks as a sanitised fragment. `open` leaves code without colours: it is still being written.
export function renderBlocks(blocks, { open = false } = {}) {
  let fragment;
  try {
    fragment = DOMPurify.sanitize(marked.parser(blocks).replaceAll(TAB, '\t'), CLEAN);
  } catch {
    fragment = document.createDocumentFragment();
    fragment.append(el('p', { class: 'verbatim' }, blocks.map((block) => block.raw).join('')));
  }
  finish(fragment, open);
  return fragment;
}

export const renderMarkdown = (text) => renderBlocks(readBlocks(text));

function finish(fragment, open) {
  for (const link of fragment.querySelectorAll('a')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer nofollow';
  }
  for (const box of fragment.querySelectorAll('input')) {
    box.type = 'checkbox';
    box.disabled = true;
    box.setAttribute('aria-label', box.checked ? 'done' : 'not done');
  }
  for (const table of fragment.querySelectorAll('table')) {
    const frame = el('div', { class: 'table-frame', tabindex: '0', role: 'group', 'aria-label': 'Table' });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const code of fragment.querySelectorAll('pre > code')) frameCode(code, open);
  for (const formula of fragment.querySelectorAll('.formula')) typeset(formula);
}

function frameCode(code, open) {
  const text = code.textContent;
  const language = /language-([\w+#.-]{1,30})/.exec(code.className)?.[1] ?? '';
  const copy = el('button', { type: 'button', class: 'plain copy', 'aria-label': 'Copy this code' }, 'Copy');
  copy.addEventListener('click', () => copyText(code.textContent.replace(/\n$/, ''), copy));
  const pre = code.parentElement;
  const frame = el('div', { class: 'code-frame' }, el('div', { class: 'code-top' }, el('span', {}, language || 'text'), copy));
  pre.tabIndex = 0;
  pre.setAttribute('role', 'group');
  pre.setAttribute('aria-label', language ? `Code, ${language}` : 'Code');
  pre.replaceWith(frame);
  frame.append(pre);
  if (!open && language !== '' && text.length <= LONGEST_CODE) highlight(code, language);
}

const scripts = new Map();

// The libraries that only some answers need are fetched when the first one does.
function loadScript(path) {
  if (!scripts.has(path)) {
    scripts.set(path, new Promise((resolve, reject) => {
      const script = el('script', { src: path });
      script.addEventListener('load', resolve);
      script.addEventListener('error', (event) => {
        scripts.delete(path);  // asked for again by the next answer that needs it
        reject(event);
      });
      document.head.append(script);
    }));
  }
  return scripts.get(path);
}

async function highlight(code, language) {
  try {
    if (window.hljs === undefined) await loadScript('/lib/highlight.js');
    if (window.hljs.getLanguage(language) === undefined) return;
    const html = window.hljs.highlight(language, code.textContent, true).value;
    code.replaceChildren(DOMPurify.sanitize(html, { ALLOWED_TAGS: ['span'], ALLOWED_ATTR: ['class'], RETURN_DOM_FRAGMENT: true }));
  } catch {
    // Without colours it is the same code.
  }
}

async function typeset(formula) {
  const tex = formula.textContent;
  const display = formula.tagName === 'DIV' || formula.classList.contains('display');
  try {
    if (window.katex === undefined) await loadScript('/lib/katex.js');
    const made = document.createElement('span');
    withStyleProperties(() => window.katex.render(tex, made, { displayMode: display, throwOnError: true, trust: false, strict: 'ignore',
      maxSize: 20, maxExpand: 500 }));
    formula.replaceChildren(made);
    if (display) {
      formula.tabIndex = 0;
      formula.setAttribute('role', 'group');
      formula.setAttribute('aria-label', 'Formula');
    }
  } catch {
    formula.classList.add('broken');
    formula.title = 'This formula could not be typeset';
  }
}

// KaTeX writes a few style attributes, which the page's policy forbids; as style properties they are allowed.
function withStyleProperties(work) {
  const original = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function setAttribute(name, value) {
    if (name === 'style') this.style.cssText = value;
    else original.call(this, name, value);
  };
  try {
    work();
  } finally {
    Element.prototype.setAttribute = original;
  }
}
