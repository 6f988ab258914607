// A conversation as it is kept, and the request made from it. No page, no network.
//
//   {id, title, created, changed, settings, messages: [
//      {role: 'user', content},
//      {role: 'assistant', content, reasoning, thoughtSeconds, calls: [{id, name, arguments}], finish, error, usage},
//      {role: 'tool', callId, content}]}

export const DEFAULT_SETTINGS = Object.freeze({
  model: '', thinking: 'high', system: '', tools: '', temperature: '', top_p: '', top_k: '', min_p: '', presence_penalty: '',
  frequency_penalty: '', max_tokens: '', seed: '', stop: '',
});

/// The numbers among the settings: their bounds and whether they are whole.
export const NUMBERS = Object.freeze({
  temperature: { label: 'Temperature', min: 0, max: 2, step: 0.05, hint: '0 always takes the likeliest token' },
  top_p: { label: 'Top p', min: 0, max: 1, step: 0.01, hint: 'share of probability to choose from' },
  top_k: { label: 'Top k', min: 0, max: 1000000, step: 1, hint: 'how many tokens to choose from' },
  min_p: { label: 'Min p', min: 0, max: 1, step: 0.01, hint: 'least share of the likeliest' },
  presence_penalty: { label: 'Presence penalty', min: -2, max: 2, step: 0.1, hint: 'against tokens that occurred' },
  frequency_penalty: { label: 'Frequency penalty', min: -2, max: 2, step: 0.1, hint: 'against tokens that recur' },
  max_tokens: { label: 'Most tokens', min: 1, max: 2000000, step: 1, hint: 'thinking included' },
  seed: { label: 'Seed', min: 0, max: 9007199254740991, step: 1, hint: 'the same seed, the same answer' },
});

export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, '0')).join('');

export function startConversation(settings = DEFAULT_SETTINGS) {
  const now = Date.now();
  return { id: newId(), title: '', created: now, changed: now, settings: { ...DEFAULT_SETTINGS, ...settings }, messages: [] };
}

export const emptyAnswer = () => ({ role: 'assistant', content: '', reasoning: '', thoughtSeconds: 0, calls: [], finish: '', error: '', usage: null });

/// The title: the one given, else the beginning of the first message.
export function titleOf(conversation) {
  if (conversation.title) return conversation.title;
  const first = conversation.messages.find((message) => message.role === 'user');
  const words = (first?.content ?? '').replace(/\s+/g, ' ').trim();
  return words === '' ? 'New conversation' : words.length > 60 ? `${words.slice(0, 59)}…` : words;
}

/// What is wrong with the text of the tools, or ''.
export function toolsProblem(text) {
  if (text.trim() === '') return '';
  let tools;
  try {
    tools = JSON.parse(text);
  } catch (error) {
    return `This is no JSON: ${error.message}`;
  }
  if (!Array.isArray(tools)) return 'Expected a list of tools: [ … ].';
  const wrong = tools.findIndex((tool) => tool?.type !== 'function' || typeof tool.function?.name !== 'string');
  return wrong < 0 ? '' : `Tool ${wrong + 1} needs "type": "function" and a "function" with a "name".`;
}

/// The calls at the end of the conversation that have no result yet.
export function openCalls(conversation) {
  const answered = new Set();
  for (let i = conversation.messages.length - 1; i >= 0; --i) {
    const message = conversation.messages[i];
    if (message.role === 'tool') answered.add(message.callId);
    else return message.role === 'assistant' ? message.calls.filter((call) => !answered.has(call.id)) : [];
  }
  return [];
}

function wireMessage(message) {
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.callId, content: message.content };
  if (message.role === 'user') return { role: 'user', content: message.content };
  const wire = { role: 'assistant', content: message.content };
  if (message.calls.length > 0) {
    // After a turn with calls the thinking belongs to the prompt.
    wire.reasoning_content = message.reasoning;
    wire.tool_calls = message.calls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } }));
  }
  return wire;
}

/// The body for /v1/chat/completions. Settings left empty are left to the server.
export function requestBody(conversation, model) {
  const settings = conversation.settings;
  const messages = conversation.messages.filter((m) => m.role !== 'assistant' || m.content !== '' || m.calls.length > 0).map(wireMessage);
  if (settings.system.trim() !== '') messages.unshift({ role: 'system', content: settings.system });
  const body = { model, messages, stream: true, stream_options: { include_usage: true } };
  if (settings.thinking === 'off') {
    body.thinking = { type: 'disabled' };
  } else {
    body.thinking = { type: 'enabled' };
    body.reasoning_effort = settings.thinking;
  }
  for (const name of Object.keys(NUMBERS)) {
    if (settings[name] !== '' && Number.isFinite(Number(settings[name]))) body[name] = Number(settings[name]);
  }
  const stops = settings.stop.split('\n').filter((line) => line !== '');
  if (stops.length > 0) body.stop = stops;
  if (settings.tools.trim() !== '' && toolsProblem(settings.tools) === '') body.tools = JSON.parse(settings.tools);
  return body;
}

/// Adds one streamed chunk to an answer.
export function addChunk(answer, chunk) {
  if (chunk.usage) answer.usage = { ...answer.usage, ...plainUsage(chunk.usage) };
  const choice = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
  if (choice === undefined) return;
  if (choice.finish_reason) answer.finish = String(choice.finish_reason);
  const delta = choice.delta ?? {};
  if (typeof delta.reasoning_content === 'string') answer.reasoning += delta.reasoning_content;
  if (typeof delta.content === 'string') answer.content += delta.content;
  for (const piece of Array.isArray(delta.tool_calls) ? delta.tool_calls : []) {
    const at = Number(piece.index ?? answer.calls.length);
    if (!Number.isInteger(at) || at < 0 || at > answer.calls.length) continue;
    answer.calls[at] ??= { id: '', name: '', arguments: '' };
    const call = answer.calls[at];
    if (piece.id) call.id = String(piece.id);
    if (piece.function?.name) call.name += String(piece.function.name);
    if (piece.function?.arguments) call.arguments += String(piece.function.arguments);
  }
}

function plainUsage(usage) {
  const number = (value) => (Number.isFinite(value) ? value : 0);
  return {
    prompt: number(usage.prompt_tokens), completion: number(usage.completion_tokens),
    cached: number(usage.prompt_cache_hit_tokens ?? usage.prompt_tokens_details?.cached_tokens),
    reasoning: number(usage.completion_tokens_details?.reasoning_tokens),
  };
}

/// JSON of conversations, for a file.
export const exportText = (conversations) => JSON.stringify({ format: 'baleen-conversations', version: 1, conversations }, null, 1);

/// Reads such a file; throws an Error in words. Whatever it holds, each field comes out with the type the page expects.
export function importText(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch (error) {
    throw new Error(`The file is no JSON: ${error.message}`);
  }
  if (file?.format !== 'baleen-conversations' || !Array.isArray(file.conversations)) throw new Error('The file was not exported by this page.');
  return file.conversations.filter((item) => item !== null && typeof item === 'object').map(checkedConversation);
}

const string = (value) => (typeof value === 'string' ? value : '');
const time = (value) => (Number.isFinite(value) ? value : Date.now());

function checkedConversation(item) {
  const settings = Object.fromEntries(Object.entries(DEFAULT_SETTINGS).map(([name, standard]) => {
    const value = item.settings?.[name];
    return [name, typeof value === 'string' ? value : standard];
  }));
  const messages = (Array.isArray(item.messages) ? item.messages : []).map(checkedMessage).filter((message) => message !== null);
  return { id: newId(), title: string(item.title), created: time(item.created), changed: time(item.changed), settings, messages };
}

function checkedMessage(item) {
  if (item?.role === 'user') return { role: 'user', content: string(item.content) };
  if (item?.role === 'tool') return { role: 'tool', callId: string(item.callId), content: string(item.content) };
  if (item?.role !== 'assistant') return null;
  const calls = (Array.isArray(item.calls) ? item.calls : []).map((call) => ({
    id: string(call?.id), name: string(call?.name), arguments: string(call?.arguments) }));
  const usage = item.usage === null || typeof item.usage !== 'object' ? null
    : Object.fromEntries(Object.entries(item.usage).filter(([, value]) => Number.isFinite(value)));
  return { ...emptyAnswer(), content: string(item.content), reasoning: string(item.reasoning), error: string(item.error), calls, usage,
    finish: string(item.finish), thoughtSeconds: Number.isFinite(item.thoughtSeconds) ? item.thoughtSeconds : 0 };
}
