import { keepKey, keyIsRemembered } from './api.js';
import { el, icon } from './dom.js';

/// A dialog with a heading and a close button; it is removed from the page when it closes.
export function openDialog(title, className, ...content) {
  const id = `dialog-${className}`;
  if (document.getElementById(id)?.open) return null;
  const close = el('button', { type: 'button', class: 'plain', 'aria-label': 'Close' }, icon('close'));
  const dialog = el('dialog', { id, class: className, 'aria-labelledby': `${id}-title` },
    el('div', { class: 'dialog-top' }, el('h2', { id: `${id}-title` }, title), close), ...content);
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/// Asks for the key; true once one was given, false if the person would rather not.
export function askForKey() {
  return new Promise((resolve) => {
    const field = el('input', { type: 'password', id: 'key-field', autocomplete: 'off', spellcheck: 'false' });
    const remember = el('input', { type: 'checkbox', id: 'key-remember' });
    remember.checked = keyIsRemembered();
    let given = false;
    const use = el('button', { type: 'button' }, 'Use this key');
    const dialog = openDialog('This server asks for a key', 'key-dialog',
      el('p', {}, 'The key is sent to this server only. It is forgotten when this tab closes, unless you have it remembered.'),
      el('label', { for: 'key-field' }, 'Key'), field,
      el('label', { class: 'check', for: 'key-remember' }, remember, ' Remember it in this browser'),
      el('div', { class: 'dialog-foot' }, use));
    if (dialog === null) {
      resolve(false);
      return;
    }
    const accept = () => {
      if (field.value.trim() === '') return;
      keepKey(field.value.trim(), remember.checked);
      given = true;
      dialog.close();
    };
    use.addEventListener('click', accept);
    field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter') return;
      event.preventDefault(); // or the field that has the focus next would get a line end
      accept();
    });
    dialog.addEventListener('close', () => resolve(given));
    field.focus();
  });
}

/// Asks before something is lost; true if it shall be done.
export function confirmLoss(title, text, action) {
  return new Promise((resolve) => {
    let agreed = false;
    const go = el('button', { type: 'button', class: 'danger' }, action);
    const stay = el('button', { type: 'button', class: 'plain' }, 'Cancel');
    const dialog = openDialog(title, 'confirm-dialog', el('p', {}, text), el('div', { class: 'dialog-foot' }, stay, go));
    if (dialog === null) {
      resolve(false);
      return;
    }
    go.addEventListener('click', () => {
      agreed = true;
      dialog.close();
    });
    stay.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => resolve(agreed));
    go.focus();
  });
}

/// Asks for a new title; null if it shall stay.
export function askForTitle(title) {
  return new Promise((resolve) => {
    const field = el('input', { type: 'text', id: 'title-field', maxlength: '200' });
    field.value = title;
    let answer = null;
    const accept = () => {
      answer = field.value.trim();
      dialog.close();
    };
    const rename = el('button', { type: 'button', onclick: () => accept() }, 'Rename');
    const dialog = openDialog('Rename the conversation', 'title-dialog', el('label', { for: 'title-field' }, 'Title'), field,
      el('div', { class: 'dialog-foot' }, rename));
    if (dialog === null) {
      resolve(null);
      return;
    }
    field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter') return;
      event.preventDefault(); // or the field that has the focus next would get a line end
      accept();
    });
    dialog.addEventListener('close', () => resolve(answer));
    field.select();
  });
}

const KEYS = [
  ['Enter', 'send the message'], ['Shift + Enter', 'start a line'], ['Esc', 'stop the answer, or close what is open'],
  ['/', 'go to the message field'], ['Ctrl + K', 'new conversation'], ['Ctrl + ,', 'settings'], ['Ctrl + Enter', 'send the result of a tool'],
  ['?', 'this help'],
];

export function showHelp() {
  openDialog('Keyboard', 'help-dialog', el('dl', { class: 'keys' }, ...KEYS.flatMap(([keys, what]) => [
    el('dt', {}, ...keys.split(' + ').flatMap((key, at) => (at > 0 ? [' + ', el('kbd', {}, key)] : [el('kbd', {}, key)]))), el('dd', {}, what)])),
    el('p', { class: 'muted' }, 'On a Mac, ⌘ does what Ctrl does.'));
}
