import { getJson } from './api.js';
import { openCalls, startConversation, titleOf } from './conversation.js';
import { askForKey } from './dialogs.js';
import { announce, byId, count } from './dom.js';
import { AnswerView, resultsForm, resultView, userView } from './message_view.js';
import { Run } from './run.js';

const SAVE_MS = 2000;  // how often an answer is kept while it is being written

/// The chat: the conversation that is shown, the answers that are being written (one a conversation), and what the person does to them.
export class Chat {
  #store;
  #changed;
  #runs = new Map();
  #removed = new Set();  // ids; what is still being written of them is not kept
  #models = [];
  #follows = true;
  #keeping = 0;  // writes to the store under way; no answer waits for them

  /// onChange is called when the list of conversations or a title may look different.
  constructor(store, conversations, onChange) {
    this.#store = store;
    this.#changed = onChange;
    this.conversations = conversations;
    this.current = startConversation();
    const scroll = byId('scroll');
    scroll.addEventListener('scroll', () => { this.#follows = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60; });
    byId('send').addEventListener('click', () => this.#sendComposed());
    byId('stop').addEventListener('click', () => this.stop());
    byId('thinking').addEventListener('change', () => {
      this.current.settings.thinking = byId('thinking').value;
      this.keep(this.current);
    });
    const field = byId('composer-text');
    field.addEventListener('input', () => this.#fitComposer());
    field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#sendComposed();
    });
  }

  get models() { return this.#models; }
  get running() { return this.#runs.has(this.current.id); }

  /// Asks which models there are; the first is taken unless a conversation names one.
  async loadModels() {
    try {
      const list = await getJson('/v1/models');
      this.#models = (Array.isArray(list.data) ? list.data : []).map((model) => String(model.id));
    } catch (error) {
      if (error.status === 401 && await askForKey()) await this.loadModels();
    }
  }

  open(conversation) {
    this.current = conversation;
    this.#follows = true;
    this.draw();
    byId('composer-text').focus({ preventScroll: true });
  }

  start() {
    this.open(startConversation(this.current.settings));
    announce('New conversation');
  }

  /// Keeps a conversation that has messages.
  async keep(conversation) {
    if (conversation.messages.length === 0 || this.#removed.has(conversation.id)) return;
    if (!this.conversations.includes(conversation)) this.conversations.push(conversation);
    this.#keeping += 1;
    byId('conversations').setAttribute('aria-busy', 'true');
    try {
      await this.#store.put(structuredClone(conversation));
    } catch (error) {
      this.#note(`This conversation could not be kept: ${error.message}`);
    }
    this.#keeping -= 1;
    if (this.#keeping === 0) byId('conversations').setAttribute('aria-busy', 'false');
  }

  async remove(conversation) {
    this.#removed.add(conversation.id);
    this.#runs.get(conversation.id)?.stop();
    this.conversations.splice(this.conversations.indexOf(conversation), 1);
    await this.#store.remove(conversation.id);
    if (conversation === this.current) this.open(startConversation(conversation.settings));
    this.#changed();
  }

  stop() {
    const run = this.#runs.get(this.current.id);
    run?.stop();
    return run !== undefined;
  }

  draw() {
    const conversation = this.current;
    const calls = new Map(conversation.messages.flatMap((message) => message.calls ?? []).map((call) => [call.id, call]));
    byId('messages').replaceChildren(...conversation.messages.map((message) => this.#view(message, calls)));
    byId('thinking').value = conversation.settings.thinking;
    this.#drawState();
    this.#scrollDown();
  }

  #view(message, calls) {
    if (message.role === 'user') return userView(message, { onEdit: (edited, text) => this.#resend(edited, text) });
    if (message.role === 'tool') return resultView(message, calls.get(message.callId));
    const view = new AnswerView(message, { onRender: () => this.#scrollDown(), onRegenerate: (answer) => this.#regenerate(answer) });
    const run = this.#runs.get(this.current.id);
    if (run?.message === message) {
      run.view = view;
      view.update();
    } else {
      view.finish();
    }
    return view.element;
  }

  #drawState() {
    const running = this.running;
    const open = running ? [] : openCalls(this.current);
    byId('results-form')?.remove();
    if (open.length > 0) {
      const form = resultsForm(open, (results) => this.#answerCalls(results));
      form.id = 'results-form';
      byId('messages').append(form);
    }
    byId('welcome').hidden = this.current.messages.length > 0;
    byId('title').textContent = titleOf(this.current);
    // The focus must not fall off the page with the button that had it.
    const hadFocus = [byId('send'), byId('stop')].includes(document.activeElement);
    byId('send').hidden = running;
    byId('stop').hidden = !running;
    if (hadFocus) byId(running ? 'stop' : 'composer-text').focus();
    this.#note('');
    this.#changed();
  }

  #note(text) { byId('composer-note').textContent = text; }

  #fitComposer() {
    const field = byId('composer-text');
    field.style.height = 'auto';
    field.style.height = `${Math.min(field.scrollHeight, 260)}px`;
  }

  // Who waits in an empty message field for the answer is taken to the result that is asked for.
  #goToResult() {
    const field = byId('composer-text');
    if (document.activeElement === field && field.value === '') byId('messages').querySelector('#results-form textarea')?.focus();
  }

  #scrollDown() {
    if (this.#follows) byId('scroll').scrollTop = byId('scroll').scrollHeight;
  }

  #sendComposed() {
    const field = byId('composer-text');
    if (field.value.trim() === '') return;
    if (this.running) {
      this.#note('Wait for the answer, or stop it.');
      return;
    }
    const content = field.value;
    field.value = '';
    this.#fitComposer();
    this.#dropUnanswered();
    this.current.messages.push({ role: 'user', content });
    this.#answer();
  }

  // Calls that the person passes over by writing on are taken back: a prompt with calls but no results is refused by servers.
  #dropUnanswered() {
    const open = new Set(openCalls(this.current));
    for (const message of this.current.messages) {
      if (message.calls?.some((call) => open.has(call))) message.calls = message.calls.filter((call) => !open.has(call));
    }
  }

  #answerCalls(results) {
    for (const [callId, content] of results) this.current.messages.push({ role: 'tool', callId, content });
    this.#answer();
    byId('composer-text').focus({ preventScroll: true });
  }

  #resend(message, text) {
    this.#cutAt(message);
    this.current.messages.push({ role: 'user', content: text });
    this.#answer();
    byId('composer-text').focus({ preventScroll: true });
  }

  #regenerate(answer) {
    this.#cutAt(answer);
    this.#answer();
    byId('composer-text').focus({ preventScroll: true });
  }

  #cutAt(message) {
    this.stop();
    this.#runs.delete(this.current.id);
    this.current.messages.length = Math.max(0, this.current.messages.indexOf(message));
  }

  async #answer() {
    const conversation = this.current;
    conversation.changed = Date.now();
    if (this.#models.length === 0) {
      this.draw();
      this.#note('Asking for the model');
      await this.loadModels();
      if (this.#runs.has(conversation.id)) return;  // sent twice meanwhile: the first to come back answers both
    }
    const model = this.#models.includes(conversation.settings.model) ? conversation.settings.model : this.#models[0] ?? 'default';
    const run = new Run(conversation, model);
    this.#runs.set(conversation.id, run);
    this.#follows = true;
    if (conversation === this.current) this.draw();
    this.keep(conversation);
    this.#changed();
    announce('Answering');
    const saving = setInterval(() => this.keep(conversation), SAVE_MS);
    const problem = await run.finish();
    clearInterval(saving);
    if (this.#runs.get(conversation.id) !== run) return;  // cut off by an edit
    this.#runs.delete(conversation.id);
    this.keep(conversation);
    if (conversation === this.current) {
      this.#drawState();
      this.#scrollDown();
      this.#goToResult();
    }
    this.#announceEnd(run);
    if (problem?.status === 401 && await askForKey() && conversation.messages.at(-1) === run.message) this.#regenerate(run.message);
  }

  #announceEnd(run) {
    const { error, calls, content, finish } = run.message;
    if (error !== '') return;  // the alert speaks
    if (calls.length > 0) announce(`The model calls ${calls.map((call) => call.name).join(', ')}`);
    else announce(`${finish === 'stopped' ? 'Stopped' : 'Answer complete'}, ${count(content.split(/\s+/).filter(Boolean).length)} words`);
  }
}
