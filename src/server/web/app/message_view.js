import { copyText, count, el, icon, seconds } from './dom.js';
import { renderMarkdown } from './markdown.js';
import { StreamRenderer } from './stream_render.js';

/// A message of the person, with a button to change and resend it.
export function userView(message, { onEdit }) {
  const text = el('div', { class: 'said' }, message.content);
  const actions = el('div', { class: 'actions' });
  const item = el('li', { class: 'message user' }, el('article', {}, el('h2', { class: 'unseen' }, 'You'), text, actions));
  const edit = el('button', { type: 'button', class: 'plain', onclick: () => startEditing() }, icon('edit'), 'Edit');
  actions.append(edit);

  function startEditing() {
    const field = el('textarea', { 'aria-label': 'Change the message', rows: '3' });
    field.value = message.content;
    const close = () => {
      form.replaceWith(text);
      actions.hidden = false;
      edit.focus();
    };
    const send = () => {
      if (field.value.trim() !== '') onEdit(message, field.value);
    };
    const form = el('div', { class: 'editing' }, field, el('div', { class: 'actions shown' },
      el('button', { type: 'button', onclick: send }, 'Send again'), el('button', { type: 'button', class: 'plain', onclick: close }, 'Cancel')));
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        close();
      } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    });
    text.replaceWith(form);
    actions.hidden = true;
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }
  return item;
}

/// The result of a call, as it was given.
export function resultView(message, call) {
  const details = el('details', { class: 'tool-result' }, el('summary', {}, `Result of ${call?.name ?? message.callId}`),
    el('pre', { tabindex: '0' }, pretty(message.content)));
  return el('li', { class: 'message tool' }, el('article', {}, el('h2', { class: 'unseen' }, 'Tool'), details));
}

/// JSON with line breaks; any other text as it is.
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const FINISH = {
  length: 'Stopped: the most tokens allowed were reached.', content_filter: 'Stopped by a content filter.',
  insufficient_system_resource: 'Stopped: the server ran out of room.', stopped: 'You stopped this answer.',
};

/// An answer, which may still grow: update() after each change of the message, finish() at its end.
export class AnswerView {
  #message;
  #content = el('div', { class: 'prose' });
  #thinking = el('details', { class: 'thinking' });
  #thinkingTitle = el('summary');
  #thinkingText = el('div', { class: 'prose' });
  #calls = el('div', { class: 'calls' });
  #problem = el('div', { class: 'problem', role: 'alert' });
  #foot = el('div', { class: 'actions' });
  #note = el('p', { class: 'finish muted' });
  #waiting = el('p', { class: 'waiting' }, el('span', { class: 'unseen' }, 'Waiting for the first token'), el('i'), el('i'), el('i'));
  #renderers = new Map();
  #shown = { content: 0, reasoning: 0 };
  #events;

  constructor(message, events) {
    this.#message = message;
    this.#events = events;
    this.#thinking.append(this.#thinkingTitle, this.#thinkingText);
    this.#thinking.addEventListener('toggle', () => this.#drawThinking());
    this.element = el('li', { class: 'message answer' }, el('article', {}, el('h2', { class: 'unseen' }, 'Answer'), this.#thinking, this.#content,
      this.#calls, this.#waiting, this.#note, this.#problem, this.#foot));
    this.#drawFrame();
  }

  /// Shows what was added to a message that is still being written.
  update() {
    this.#grow('content', this.#content);
    if (this.#thinking.open) this.#grow('reasoning', this.#thinkingText);
    this.#drawFrame(true);
    this.#drawCalls();
  }

  /// Shows a message that will not change any more.
  finish() {
    for (const renderer of this.#renderers.values()) renderer.finish();
    if (!this.#renderers.has('content')) this.#content.replaceChildren(renderMarkdown(this.#message.content));
    this.element.classList.remove('live');
    this.#drawFrame(false);
    this.#drawThinking();
    this.#drawCalls();
    this.#drawFoot();
  }

  #grow(name, target) {
    const text = this.#message[name];
    if (text.length === this.#shown[name]) return;
    if (!this.#renderers.has(name)) this.#renderers.set(name, new StreamRenderer(target, this.#events.onRender));
    this.#renderers.get(name).append(text.slice(this.#shown[name]));
    this.#shown[name] = text.length;
  }

  #drawThinking() {
    if (!this.#thinking.open || this.#shown.reasoning > 0) return;
    if (this.element.classList.contains('live')) this.#grow('reasoning', this.#thinkingText);
    else this.#thinkingText.replaceChildren(renderMarkdown(this.#message.reasoning));
  }

  #drawFrame(live = false) {
    const { reasoning, content, calls, thoughtSeconds, finish, error } = this.#message;
    if (live) this.element.classList.add('live');
    const thinks = live && content === '' && calls.length === 0;
    this.#waiting.hidden = !(thinks && reasoning === '');
    this.#thinking.hidden = reasoning === '';
    this.#thinking.classList.toggle('working', thinks && reasoning !== '');
    const took = thoughtSeconds > 0 ? ` ${thinks ? '·' : 'for'} ${thoughtSeconds < 10 ? thoughtSeconds.toFixed(1) : Math.round(thoughtSeconds)} s` : '';
    const title = thinks ? `Thinking${took}` : `Thought${took}`;
    if (this.#thinkingTitle.textContent !== title) this.#thinkingTitle.textContent = title;
    this.#note.textContent = live ? '' : FINISH[finish] ?? '';
    this.#note.hidden = this.#note.textContent === '';
    this.#problem.hidden = error === '';
    if (this.#problem.textContent !== error) this.#problem.textContent = error;
  }

  #drawCalls() {
    this.#message.calls.forEach((call, at) => {
      let card = this.#calls.children[at];
      if (card === undefined) {
        card = el('section', { class: 'call', 'aria-label': `Call of ${call.name}` }, el('p', { class: 'call-name' }),
          el('pre', { tabindex: '0', role: 'group', 'aria-label': 'Arguments' }));
        this.#calls.append(card);
      }
      card.querySelector('.call-name').textContent = call.name;
      const text = this.element.classList.contains('live') ? call.arguments : pretty(call.arguments);
      const pre = card.querySelector('pre');
      if (pre.textContent !== text) pre.textContent = text;
    });
  }

  #drawFoot() {
    const copy = el('button', { type: 'button', class: 'plain' }, 'Copy');
    copy.addEventListener('click', () => copyText(this.#message.content, copy));
    const again = el('button', { type: 'button', class: 'plain', onclick: () => this.#events.onRegenerate(this.#message) },
      this.#message.error ? 'Try again' : 'Regenerate');
    this.#foot.replaceChildren(...(this.#message.content ? [copy] : []), again, el('span', { class: 'usage muted' }, usageLine(this.#message.usage)));
    this.#foot.classList.toggle('shown', this.#message.error !== '');
  }
}

function usageLine(usage) {
  if (!usage || !Number.isFinite(usage.completion)) return '';
  const cached = usage.cached > 0 ? ` (${count(usage.cached)} cached)` : '';
  const parts = [`${count(usage.prompt)} in${cached}`, `${count(usage.completion)} out`];
  if (usage.rate > 0) parts.push(`${usage.rate.toFixed(usage.rate < 100 ? 1 : 0)} tokens/s`);
  if (usage.first > 0) parts.push(`first after ${seconds(usage.first)}`);
  return parts.join(' · ');
}

/// Fields for the results of calls that have none; onResults gets a Map of call id to text.
export function resultsForm(calls, onResults) {
  const fields = calls.map((call, at) => {
    const field = el('textarea', { id: `result-${at}`, rows: '2', spellcheck: 'false', placeholder: 'What the tool returned, as text or JSON' });
    return { call, field, row: el('div', { class: 'result-row' }, el('label', { for: `result-${at}` }, 'Result of ', el('code', {}, call.name)), field) };
  });
  const send = () => onResults(new Map(fields.map(({ call, field }) => [call.id, field.value])));
  const form = el('div', { class: 'results' }, ...fields.map(({ row }) => row),
    el('div', { class: 'actions shown' }, el('button', { type: 'button', onclick: send }, calls.length > 1 ? 'Send the results' : 'Send the result')));
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) send();
  });
  return el('li', { class: 'message tool' }, form);
}
