import { DEFAULT_SETTINGS, NUMBERS, toolsProblem } from './conversation.js';
import { openDialog } from './dialogs.js';
import { el } from './dom.js';

const TOOL_EXAMPLE = JSON.stringify([{ type: 'function', function: { name: 'get_weather', description: 'The weather of a place',
  parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] } } }], null, 2);

function numberField(settings, name, changed) {
  const { label, min, max, step, hint } = NUMBERS[name];
  const input = el('input', { type: 'number', id: `set-${name}`, min, max, step, placeholder: 'default', 'aria-describedby': `hint-${name}`,
    inputmode: step < 1 ? 'decimal' : 'numeric' });
  const note = el('small', { id: `hint-${name}`, class: 'muted' }, hint);
  input.value = settings[name];
  input.addEventListener('input', () => {
    const wrong = input.value === '' ? input.validity.badInput : !(Number(input.value) >= min && Number(input.value) <= max);
    note.textContent = wrong ? `a number from ${min} to ${max}` : hint;
    note.classList.toggle('wrong', wrong);
    input.setAttribute('aria-invalid', String(wrong));
    if (wrong) return;
    settings[name] = input.value;
    changed();
  });
  return el('div', { class: 'setting' }, el('label', { for: `set-${name}` }, label), input, note);
}

function textField(settings, name, label, hint, rows, changed) {
  const area = el('textarea', { id: `set-${name}`, rows, spellcheck: String(name === 'system'), 'aria-describedby': `hint-${name}` });
  const note = el('small', { id: `hint-${name}`, class: 'muted' }, hint);
  area.value = settings[name];
  area.addEventListener('input', () => {
    settings[name] = area.value;
    changed();
  });
  return { row: el('div', { class: 'setting wide-setting' }, el('label', { for: `set-${name}` }, label), area, note), area, note };
}

function toolsField(settings, changed) {
  const tools = textField(settings, 'tools', 'Tools', '', 8, () => {
    check();
    changed();
  });
  const check = () => {
    const problem = toolsProblem(tools.area.value);
    tools.note.textContent = problem || 'A JSON list as in the API. Calls are shown, and you give their results.';
    tools.note.classList.toggle('wrong', problem !== '');
    tools.area.setAttribute('aria-invalid', String(problem !== ''));
  };
  const example = el('button', { type: 'button', class: 'plain' }, 'Put in an example');
  example.addEventListener('click', () => {
    tools.area.value = TOOL_EXAMPLE;
    tools.area.dispatchEvent(new Event('input'));
  });
  tools.row.append(example);
  check();
  return tools.row;
}

function modelField(settings, models, changed) {
  const select = el('select', { id: 'set-model' }, ...models.map((id) => el('option', { value: id }, id)));
  if (models.includes(settings.model)) select.value = settings.model;
  select.addEventListener('change', () => {
    settings.model = select.value;
    changed();
  });
  return el('div', { class: 'setting wide-setting' }, el('label', { for: 'set-model' }, 'Model'), select);
}

/// The settings of a conversation; changed() is called after each change.
export function showSettings(settings, models, changed) {
  const content = el('div', { class: 'settings' });
  const fill = () => content.replaceChildren(
    ...(models.length > 0 ? [modelField(settings, models, changed)] : []),
    textField(settings, 'system', 'System prompt', 'What the model is told before everything else.', 4, changed).row,
    el('h3', {}, 'Sampling'),
    el('div', { class: 'numbers' }, ...Object.keys(NUMBERS).map((name) => numberField(settings, name, changed))),
    textField(settings, 'stop', 'Stop at', 'One text a line; the answer ends before it.', 2, changed).row,
    el('h3', {}, 'Tools'),
    toolsField(settings, changed),
    el('div', { class: 'dialog-foot' }, reset));
  const reset = el('button', { type: 'button', class: 'plain' }, 'Reset all');
  reset.addEventListener('click', () => {
    Object.assign(settings, DEFAULT_SETTINGS);
    changed();
    fill();
  });
  fill();
  openDialog('Settings', 'settings-dialog', content);
}
