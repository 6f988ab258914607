import { readEvents } from './event_stream.js';

const KEY = 'baleen.key';

/// What went wrong, in words for the person; status 0 when there was no answer at all.
export class RequestError extends Error {
  constructor(message, { status = 0, retryAfter = 0 } = {}) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

function stored(storage) {
  try {
    return storage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

export const apiKey = () => stored(sessionStorage) || stored(localStorage);

/// Keeps the key for this tab, or in this browser when it shall be remembered.
export function keepKey(key, remember) {
  try {
    sessionStorage.setItem(KEY, key);
    if (remember) localStorage.setItem(KEY, key);
    else localStorage.removeItem(KEY);
  } catch {
    // Storage is off: the key is asked for again on the next load.
  }
}

export const keyIsRemembered = () => stored(localStorage) !== '';

function headers() {
  const key = apiKey();
  return key === '' ? {} : { Authorization: `Bearer ${key}` };
}

const WORDS = {
  401: 'The server asks for a key.',
  403: 'This key may not do that.',
  404: 'The server does not know this address or model.',
  413: 'The request is too large for the server.',
  429: 'The server is busy or this key has reached its limit.',
  500: 'The server failed on this request.',
  503: 'The server cannot take requests now.',
  529: 'The server is overloaded.',
};

async function failure(response) {
  let said = '';
  try {
    const body = JSON.parse((await response.text()).slice(0, 65536));
    said = String(body?.error?.message ?? '');
  } catch {
    // No JSON: the status has to do.
  }
  const retryAfter = Math.max(0, Math.min(3600, Number.parseInt(response.headers.get('Retry-After') ?? '0', 10) || 0));
  const words = WORDS[response.status] ?? `The server answered with status ${response.status}.`;
  const sentence = said === '' || /[.!?]$/.test(said) ? said : `${said}.`;
  const parts = [said === '' ? words : WORDS[response.status] ? `${words} It says: ${sentence}` : `The server refused: ${sentence}`];
  if (retryAfter > 0) parts.push(`Try again in ${retryAfter} s.`);
  return new RequestError(parts.join(' '), { status: response.status, retryAfter });
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: 'no-store', credentials: 'omit', redirect: 'error', ...options,
      headers: { ...headers(), ...options.headers } });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new RequestError('The server cannot be reached. Is it running?');
  }
  if (!response.ok) throw await failure(response);
  return response;
}

export async function getJson(path, signal) {
  const response = await request(path, { method: 'GET', signal });
  try {
    return await response.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new RequestError('The server answered with something that is no JSON.', { status: response.status });
  }
}

/// The chunks of a streamed chat completion. Ends after [DONE]; throws RequestError when the stream breaks off or carries an error.
export async function* chatChunks(body, signal) {
  const response = await request('/v1/chat/completions', {
    method: 'POST', signal, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  try {
    for await (const data of readEvents(response.body)) {
      if (data === '[DONE]') return;
      let chunk;
      try {
        chunk = JSON.parse(data);
      } catch {
        throw new RequestError('The stream holds something that is no JSON.');
      }
      if (chunk?.error) throw new RequestError(`The server stopped the answer: ${chunk.error.message ?? 'no reason given'}`);
      if (chunk !== null && typeof chunk === 'object') yield chunk;
    }
  } catch (error) {
    if (error.name === 'AbortError' || error instanceof RequestError) throw error;
    throw new RequestError('The connection broke before the answer was complete.');
  }
  throw new RequestError('The connection ended before the answer was complete.');
}
