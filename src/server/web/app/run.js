import { chatChunks } from './api.js';
import { addChunk, emptyAnswer, requestBody } from './conversation.js';

/// One answer being written: asks the server and fills the message, whoever looks at it. The view may change while it runs.
export class Run {
  #abort = new AbortController();
  #began = performance.now();
  #firstToken = 0;
  #lastToken = 0;

  constructor(conversation, model) {
    this.conversation = conversation;
    this.message = emptyAnswer();
    this.view = null;
    this.body = requestBody(conversation, model);
    conversation.messages.push(this.message);
  }

  stop() { this.#abort.abort(); }

  /// Runs to the end and never throws; returns the error that ended it, or null. A stopped answer is no error.
  async finish() {
    let problem = null;
    try {
      for await (const chunk of chatChunks(this.body, this.#abort.signal)) this.#take(chunk);
    } catch (error) {
      if (error.name === 'AbortError') this.message.finish = 'stopped';
      else problem = error;
    }
    if (problem !== null) this.message.error = problem.message;
    const spent = (this.#lastToken - this.#firstToken) / 1000;
    const usage = this.message.usage;
    if (usage !== null && this.#firstToken > 0) {
      usage.first = (this.#firstToken - this.#began) / 1000;
      usage.rate = spent > 0.02 && usage.completion > 1 ? (usage.completion - 1) / spent : 0;
    }
    this.message.calls = this.message.calls.filter((call) => problem === null && this.message.finish !== 'stopped' && call.name !== '');
    this.view?.finish();
    return problem;
  }

  #take(chunk) {
    const { content, reasoning, calls } = this.message;
    const before = content.length + reasoning.length;
    addChunk(this.message, chunk);
    const now = performance.now();
    if (this.message.content.length + this.message.reasoning.length > before || this.message.calls.length > 0) {
      if (this.#firstToken === 0) this.#firstToken = now;
      this.#lastToken = now;
    }
    if (this.message.reasoning.length > reasoning.length && content === '' && calls.length === 0) {
      this.message.thoughtSeconds = Math.round((now - this.#firstToken) / 100) / 10;
    }
    this.view?.update();
  }
}
