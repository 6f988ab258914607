// Where conversations are kept: IndexedDB, else localStorage, else memory only (a private window that allows neither).

const NAME = 'conversations';

function promise(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

class DatabaseStore {
  constructor(database) { this.database = database; }
  all() { return promise(this.database.transaction(NAME).objectStore(NAME).getAll()); }
  put(conversation) { return this.#change((objects) => objects.put(conversation)); }
  remove(id) { return this.#change((objects) => objects.delete(id)); }

  // Done when the transaction is: a page that closes after the request alone would lose it.
  #change(work) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(NAME, 'readwrite', { durability: 'relaxed' });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      work(transaction.objectStore(NAME));
    });
  }
}

class TextStore {
  constructor(storage) { this.storage = storage; }
  async all() {
    const found = [];
    for (let i = 0; i < this.storage.length; ++i) {
      const name = this.storage.key(i);
      if (!name.startsWith(`${NAME}.`)) continue;
      try {
        found.push(JSON.parse(this.storage.getItem(name)));
      } catch {
        // Not ours or damaged: left alone.
      }
    }
    return found;
  }
  async put(conversation) { this.storage.setItem(`${NAME}.${conversation.id}`, JSON.stringify(conversation)); }
  async remove(id) { this.storage.removeItem(`${NAME}.${id}`); }
}

class MemoryStore {
  constructor() { this.kept = new Map(); }
  async all() { return [...this.kept.values()]; }
  async put(conversation) { this.kept.set(conversation.id, structuredClone(conversation)); }
  async remove(id) { this.kept.delete(id); }
}

/// The best store this browser offers.
export async function openStore() {
  try {
    const request = indexedDB.open('baleen', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(NAME, { keyPath: 'id' });
    return new DatabaseStore(await promise(request));
  } catch {
    try {
      localStorage.setItem(`${NAME}-probe`, '');
      localStorage.removeItem(`${NAME}-probe`);
      return new TextStore(localStorage);
    } catch {
      return new MemoryStore();
    }
  }
}
