import { titleOf } from './conversation.js';
import { byId, el, icon } from './dom.js';

/// Draws the list of conversations, the last changed first.
export function drawConversations(conversations, current, { onOpen, onRename, onDelete }) {
  const sorted = [...conversations].sort((a, b) => b.changed - a.changed);
  const list = byId('conversations');
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && [focused.parentElement.dataset.id, [...focused.parentElement.children].indexOf(focused)];
  list.replaceChildren(...sorted.map((conversation) => {
    const title = titleOf(conversation);
    const open = el('button', { type: 'button', class: 'open', 'aria-current': conversation === current ? 'true' : null,
      onclick: () => onOpen(conversation) }, title);
    return el('li', { 'data-id': conversation.id }, open,
      el('button', { type: 'button', class: 'plain', 'aria-label': `Rename “${title}”`, onclick: () => onRename(conversation) }, icon('edit')),
      el('button', { type: 'button', class: 'plain', 'aria-label': `Delete “${title}”`, onclick: () => onDelete(conversation) }, icon('trash')));
  }));
  // The focus stays where it was: the list is drawn anew whenever an answer begins or ends.
  if (place) [...list.children].find((item) => item.dataset.id === place[0])?.children[place[1]].focus();
  byId('no-conversations').hidden = conversations.length > 0;
}

/// On a narrow page the list slides over the chat. Closed, it is out of the tab order.
export function showSide(shown) {
  document.body.classList.toggle('side-open', shown);
  byId('shade').hidden = !shown;
  byId('open-side').setAttribute('aria-expanded', String(shown));
  const focusWas = byId('side').contains(document.activeElement);
  if (shown) byId('close-side').focus();
  else if (focusWas) byId('open-side').focus();
}

export const sideIsOpen = () => document.body.classList.contains('side-open');

export function wireSide() {
  byId('open-side').append(icon('menu'));
  byId('close-side').append(icon('close'));
  byId('open-settings').append(icon('settings'));
  byId('open-side').addEventListener('click', () => showSide(true));
  byId('close-side').addEventListener('click', () => showSide(false));
  byId('shade').addEventListener('click', () => showSide(false));
}

/// The switch of light and dark; the system's choice until it is used.
export function wireTheme() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : dark.matches);
  const draw = () => { byId('theme').textContent = isDark() ? 'Light' : 'Dark'; };
  byId('theme').addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    try {
      localStorage.setItem('baleen.theme', root.dataset.theme);
    } catch {
      // Kept for this page only.
    }
    draw();
  });
  dark.addEventListener('change', draw);
  draw();
}
