import { svg } from './dom.js';

const WIDTH = 460;
const HEIGHT = 150;
const LEFT = 40;
const BOTTOM = 20;

function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].map((factor) => factor * power).find((top) => top >= value);
}

const short = (value) => (value >= 10000 ? `${+(value / 1000).toFixed(1)}k` : `${+value.toFixed(2)}`);

function linePath(points, x, y) {
  let path = '';
  let pen = 'M';
  for (const [time, value] of points) {
    if (!Number.isFinite(value)) {
      pen = 'M';
      continue;
    }
    path += `${pen}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = 'L';
  }
  return path;
}

/// Lines over the last span_s seconds. series: [{name, points: [[seconds, value], …]}], at most three; a value that is no number is a gap.
/// The drawing is an image to a screen reader; its name says the last values.
export function drawLines(series, { title, unit, now, span_s }) {
  const values = series.flatMap(({ points }) => points.map(([, value]) => value).filter(Number.isFinite));
  const top = niceTop(Math.max(0, ...values));
  const x = (time) => LEFT + (WIDTH - LEFT - 6) * (1 - (now - time) / span_s);
  const y = (value) => 8 + (HEIGHT - BOTTOM - 8) * (1 - value / top);
  const last = series.map(({ name, points }) => `${name} ${short(points.at(-1)?.[1] || 0)}${unit}`).join(', ');
  const picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${title}: ${last}`, class: 'chart' });
  for (const part of [0, 0.5, 1]) {
    const level = y(top * part);
    picture.append(svg('line', { x1: LEFT, x2: WIDTH - 6, y1: level, y2: level, class: 'grid' }),
      svg('text', { x: LEFT - 8, y: level + 4, 'text-anchor': 'end' }, short(top * part)));
  }
  for (const [part, anchor] of [[1, 'start'], [0.5, 'middle'], [0, 'end']]) {
    const label = part === 0 ? 'now' : `−${+((span_s * part) / 60).toFixed(1)} min`;
    picture.append(svg('text', { x: x(now - span_s * part), y: HEIGHT - 4, 'text-anchor': anchor }, label));
  }
  series.forEach(({ points }, at) => picture.append(svg('path', { d: linePath(points, x, y), class: `line line-${at + 1}` })));
  return picture;
}

/// One bar a row of a table: a share of 0 to 1.
export function drawShare(share, index = 1) {
  const width = Math.max(0, Math.min(1, share || 0)) * 100;
  return svg('svg', { viewBox: '0 0 100 6', preserveAspectRatio: 'none', class: 'share', 'aria-hidden': 'true' },
    svg('rect', { width: 100, height: 6, rx: 1, class: 'share-ground' }), svg('rect', { width: width.toFixed(2), height: 6, rx: 1, class: `share-${index}` }));
}
