import { getJson } from './api.js';
import { drawLines, drawShare } from './chart.js';
import { askForKey } from './dialogs.js';
import { bytes, count, el, seconds } from './dom.js';

const POLL_MS = 2000;
const SPANS_S = [60, 180, 300, 900];  // what a chart shows: the least that holds all the page knows
const SPAN_S = SPANS_S.at(-1);  // how much of the past the page keeps

const number = (value) => (Number.isFinite(value) ? value : 0);
const percent = (share) => (Number.isFinite(share) ? `${(share * 100).toFixed(share >= 0.9995 || share === 0 ? 0 : 1)} %` : '–');

/// What the server does, from GET /v1/status every two seconds. Its counters count from the start; the rates are made here.
export class Dashboard {
  #root;
  #timer = 0;
  #history = [];  // {time, in, out, running, waiting}; times in seconds
  #before = null;
  #on = false;
  #sections = {};

  constructor(root) {
    this.#root = root;
  }

  start() {
    if (this.#on) return;
    this.#on = true;
    if (this.#root.childElementCount === 0) this.#build();
    this.#poll();
  }

  stop() {
    this.#on = false;
    clearTimeout(this.#timer);
  }

  #build() {
    const section = (name, title, className = 'panel') => {
      this.#sections[name] = el('div', { class: 'panel-body' });
      return el('section', { class: className, 'aria-label': title }, el('h2', {}, title), this.#sections[name]);
    };
    this.#sections.problem = el('p', { class: 'problem', role: 'alert', hidden: true });
    this.#sections.model = el('p', { class: 'model-line muted' });
    this.#sections.tiles = el('dl', { class: 'tiles' });
    this.#root.append(el('div', { class: 'dashboard-inner' }, this.#sections.model, this.#sections.problem, this.#sections.tiles,
      el('div', { class: 'panels' }, section('rates', 'Tokens per second'), section('load', 'Requests'), section('latency', 'Latency'),
        section('drafts', 'Drafts accepted'), section('memory', 'Memory plan'), section('outcome', 'Since the start'),
        section('usage', 'Usage by key', 'panel full'))));
  }

  async #poll() {
    try {
      const status = await getJson('/v1/status');
      this.#sections.problem.hidden = true;
      this.#take(status);
      if (this.#on) this.#draw(status);
    } catch (error) {
      if (error.status === 401 && this.#on) {
        if (await askForKey()) {
          if (this.#on) this.#poll();
          return;
        }
      }
      this.#before = null;
      if (this.#sections.problem.textContent !== error.message) this.#sections.problem.textContent = error.message;
      this.#sections.problem.hidden = false;
      if (error.status === 401) return;  // asked and declined: no more polling until the view is opened again
    }
    if (this.#on) this.#timer = setTimeout(() => this.#poll(), POLL_MS);
  }

  #take(status) {
    const now = performance.now() / 1000;
    const { prefill, decode } = status.tokens ?? {};
    const before = this.#before;
    const apart = before === null || number(status.uptime_s) < before.uptime ? 0 : now - before.time;
    this.#history.push({
      time: now, running: number(status.requests?.running), waiting: number(status.requests?.waiting),
      in: apart > 0 ? Math.max(0, number(prefill) - before.prefill) / apart : NaN,
      out: apart > 0 ? Math.max(0, number(decode) - before.decode) / apart : NaN,
    });
    this.#before = { time: now, uptime: number(status.uptime_s), prefill: number(prefill), decode: number(decode) };
    this.#history = this.#history.filter(({ time }) => time > now - SPAN_S - 5);
  }

  #draw(status) {
    const model = status.model ?? {};
    const parts = [model.id, model.folder_name !== model.id ? model.folder_name : '', model.context ? `context ${count(model.context)}` : '',
      model.isa, model.threads ? `${model.threads} threads` : '', `up ${duration(number(status.uptime_s))}`];
    this.#sections.model.textContent = parts.filter(Boolean).join(' · ');
    this.#drawTiles(status);
    this.#drawCharts();
    this.#sections.latency.replaceChildren(latencyTable(status.latency ?? {}));
    this.#sections.outcome.replaceChildren(outcomeTable(status));
    this.#sections.memory.replaceChildren(memoryTable(status.memory));
    this.#sections.drafts.replaceChildren(draftTable(status.drafts, model.drafts));
    this.#sections.usage.replaceChildren(usageTable(status.usage_by_key));
  }

  #drawTiles(status) {
    const latest = this.#history.at(-1);
    const rate = (value) => (Number.isFinite(value) ? (value < 100 ? value.toFixed(1) : count(value)) : '–');
    const tiles = [
      ['Running', count(latest.running), `${count(latest.waiting)} waiting`],
      ['Out', rate(latest.out), 'tokens/s'],
      ['In', rate(latest.in), 'tokens/s'],
      ['First token', seconds(status.latency?.first_token_s?.p50), 'median'],
      ['Cache hits', percent(status.cache?.hit_share), `${count(number(status.tokens?.cached))} tokens`],
      ['Cache', percent(number(status.cache?.used_blocks) / status.cache?.blocks), `${count(number(status.cache?.cached_blocks))} blocks kept`],
    ];
    this.#sections.tiles.replaceChildren(...tiles.map(([name, value, note]) => el('div', { class: 'tile' }, el('dt', {}, name),
      el('dd', { class: 'value' }, value), el('dd', { class: 'muted' }, note))));
  }

  #drawCharts() {
    const now = this.#history.at(-1).time;
    const known_s = now - this.#history[0].time;
    const span_s = SPANS_S.find((span) => span >= known_s) ?? SPAN_S;
    const line = (name, field) => ({ name, points: this.#history.map((sample) => [sample.time, sample[field]]) });
    const chart = (target, title, unit, ...series) => target.replaceChildren(legend(series), drawLines(series, { title, unit, now, span_s }));
    chart(this.#sections.rates, 'Tokens per second', '', line('out', 'out'), line('in', 'in'));
    chart(this.#sections.load, 'Requests', '', line('running', 'running'), line('waiting', 'waiting'));
  }
}

function duration(total) {
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min']];
  const [size, unit] = units.find(([least]) => total >= least) ?? [1, 's'];
  return `${Math.floor(total / size)} ${unit}`;
}

const legend = (series) => el('p', { class: 'legend', 'aria-hidden': 'true' },
  ...series.map(({ name }, at) => el('span', { class: `key key-${at + 1}` }, name)));

function table(heads, rows, caption) {
  if (rows.length === 0) return el('p', { class: 'muted' }, 'Nothing yet.');
  const cells = (row) => row.map((cell, at) => (at === 0 ? el('th', { scope: 'row' }, cell) : el('td', {}, cell)));
  return el('div', { class: 'table-frame', tabindex: '0', role: 'group', 'aria-label': caption }, el('table', {},
    el('thead', {}, el('tr', {}, ...heads.map((head) => el('th', { scope: 'col' }, head)))),
    el('tbody', {}, ...rows.map((row) => el('tr', {}, ...cells(row))))));
}

function latencyTable(latency) {
  const rows = [['First token', 'first_token_s'], ['Between tokens', 'inter_token_s'], ['In the queue', 'queue_s']];
  return table(['', 'p50', 'p90', 'p99', 'count'], rows.map(([name, field]) => {
    const value = latency[field] ?? {};
    const shown = (p) => (number(value.count) > 0 ? seconds(value[p]) : '–');
    return [name, shown('p50'), shown('p90'), shown('p99'), count(number(value.count))];
  }), 'Latency percentiles');
}

function outcomeTable({ requests = {}, tokens = {} }) {
  const names = ['submitted', 'ended', 'cancelled', 'expired', 'failed', 'refused'];
  const rows = names.map((name) => [name, count(number(requests[name]))]);
  rows.push(['tokens read', count(number(tokens.prefill))], ['tokens from the cache', count(number(tokens.cached))],
    ['tokens written', count(number(tokens.decode))]);
  return table(['What', 'Count'], rows, 'Counts since the start');
}

function memoryTable(memory) {
  const parts = Array.isArray(memory) ? memory : [];
  const total = parts.reduce((sum, part) => sum + number(part.bytes), 0);
  const rows = parts.map((part) => [String(part.what), bytes(number(part.bytes)), drawShare(number(part.bytes) / total)]);
  if (rows.length > 0) rows.push(['total', bytes(total), '']);
  return table(['What', 'Size', 'Share'], rows, 'Memory plan');
}

function draftTable(drafts, kind) {
  const rows = (drafts?.drafted ?? []).map((drafted, at) => [at, number(drafted), number(drafts.accepted?.[at])]).filter(([, drafted]) => drafted > 0)
    .map(([at, drafted, accepted]) => [`place ${at + 1}`, count(drafted), percent(accepted / drafted), drawShare(accepted / drafted, 2)]);
  if (rows.length === 0) return el('p', { class: 'muted' }, kind ? 'Nothing was drafted yet.' : 'This model runs without drafts.');
  return table(['Place', 'Drafted', 'Accepted', 'Share'], rows, 'Drafts accepted by place');
}

function usageTable(usage) {
  if (!Array.isArray(usage)) return el('p', { class: 'muted' }, 'This server keeps no ledger.');
  return table(['Key', 'Requests', 'In', 'From cache', 'Out', 'Cost'], usage.map((row) => [String(row.key), count(number(row.requests)),
    count(number(row.prompt_tokens)), count(number(row.hit_tokens)), count(number(row.completion_tokens)),
    `$${number(row.cost_usd).toFixed(4)}`]), 'Usage by key');
}
