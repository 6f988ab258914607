import { Chat } from './chat.js';
import { exportText, importText, titleOf } from './conversation.js';
import { Dashboard } from './dashboard.js';
import { askForTitle, confirmLoss, openDialog, showHelp } from './dialogs.js';
import { announce, byId, el } from './dom.js';
import { showSettings } from './settings_view.js';
import { drawConversations, showSide, sideIsOpen, wireSide, wireTheme } from './sidebar.js';
import { openStore } from './store.js';

const dashboard = new Dashboard(byId('dashboard'));

function showView() {
  const wantsDashboard = location.hash.startsWith('#/dashboard');
  byId('chat').hidden = wantsDashboard;
  byId('dashboard').hidden = !wantsDashboard;
  byId('open-settings').hidden = wantsDashboard;
  byId(wantsDashboard ? 'to-dashboard' : 'to-chat').setAttribute('aria-current', 'page');
  byId(wantsDashboard ? 'to-chat' : 'to-dashboard').removeAttribute('aria-current');
  if (wantsDashboard) {
    byId('title').textContent = 'Dashboard';
    dashboard.start();
  } else {
    dashboard.stop();
  }
}

function goToChat() {
  if (location.hash.startsWith('#/dashboard')) location.hash = '#/';
}

function saveFile(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  el('a', { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function wireFiles(chat) {
  byId('export').addEventListener('click', () => saveFile(exportText(chat.conversations), 'baleen-conversations.json'));
  byId('import').addEventListener('click', () => byId('import-file').click());
  byId('import-file').addEventListener('change', async (event) => {
    const file = event.target.files[0];
    event.target.value = '';
    if (file === undefined) return;
    try {
      const found = importText(await file.text());
      for (const conversation of found) await chat.keep(conversation);
      chat.draw();
      announce(`${found.length} conversations imported`);
    } catch (error) {
      openDialog('This file could not be imported', 'import-dialog', el('p', {}, error.message));
    }
  });
}

function wireKeys(chat, settings) {
  const typing = (target) => target.closest('input, textarea, select, [contenteditable]') !== null;
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || document.querySelector('dialog[open]') !== null) return;
    const control = event.ctrlKey || event.metaKey;
    if (event.key === 'Escape') {
      if (sideIsOpen()) showSide(false);
      else chat.stop();
    } else if (control && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      start(chat);
    } else if (control && event.key === ',') {
      event.preventDefault();
      settings();
    } else if (event.key === '/' && !control && !typing(event.target)) {
      event.preventDefault();
      goToChat();
      byId('composer-text').focus();
    } else if (event.key === '?' && !control && !typing(event.target)) {
      event.preventDefault();
      showHelp();
    }
  });
}

function start(chat) {
  showSide(false);
  goToChat();
  chat.start();
}

async function main() {
  wireSide();
  wireTheme();
  const store = await openStore();
  const actions = {
    onOpen: (conversation) => {
      showSide(false);
      goToChat();
      chat.open(conversation);
    },
    onRename: async (conversation) => {
      const title = await askForTitle(titleOf(conversation));
      if (title === null) return;
      conversation.title = title;
      await chat.keep(conversation);
      chat.draw();
    },
    onDelete: async (conversation) => {
      const words = `“${titleOf(conversation)}” will be gone from this browser for good.`;
      if (await confirmLoss('Delete this conversation?', words, 'Delete')) await chat.remove(conversation);
    },
  };
  const chat = new Chat(store, await store.all(), () => drawConversations(chat.conversations, chat.current, actions));
  const settings = () => showSettings(chat.current.settings, chat.models, () => {
    byId('thinking').value = chat.current.settings.thinking;
    chat.keep(chat.current);
  });
  byId('start').addEventListener('click', () => start(chat));
  byId('open-settings').addEventListener('click', settings);
  byId('help').addEventListener('click', showHelp);
  byId('skip').addEventListener('click', (event) => {
    event.preventDefault();
    goToChat();
    byId('composer-text').focus();
  });
  wireFiles(chat);
  wireKeys(chat, settings);
  const newest = [...chat.conversations].sort((a, b) => b.changed - a.changed)[0];
  chat.open(newest ?? chat.current);
  window.addEventListener('hashchange', () => {
    showView();
    if (!byId('chat').hidden) chat.draw();
  });
  showView();
  document.body.dataset.ready = 'true';
  if (byId('dashboard').hidden) await chat.loadModels();
}

main();
