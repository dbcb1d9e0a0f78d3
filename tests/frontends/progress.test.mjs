// What takes a while on the server, as the plugin of the pages shows it, in node.

import assert from 'node:assert/strict';
import test from 'node:test';

import { parts } from './page.mjs';

const plugin = await parts();

const EVENT = {
  schema_id: 'https://events.jupyter.org/jupyterd/progress/v1',
  id: '7',
  kind: 'copy',
  name: 'data',
  state: 'running',
  done: 10,
  total: null,
  unit: 'files'
};

class Notifications {
  constructor() {
    this.shown = new Map();
    this.number = 0;
  }
  emit(message, type, options) {
    this.shown.set(++this.number, { message, type, ...options });
    return this.number;
  }
  update({ id, ...change }) {
    Object.assign(this.shown.get(id), change);
  }
  dismiss(id) {
    this.shown.delete(id);
  }
}

test('a task is one notification until it is over', () => {
  const notifications = new Notifications();
  const tasks = new plugin.TasksShown(notifications);
  tasks.heard(EVENT);
  tasks.heard({ ...EVENT, done: 20 });
  assert.equal(notifications.shown.size, 1);
  assert.deepEqual(notifications.shown.get(1), {
    message: 'Copying data, 20 files', type: 'in-progress', autoClose: false, progress: undefined
  });
  tasks.heard({ ...EVENT, state: 'done' });
  assert.equal(notifications.shown.size, 0);
});

test('how far it is is shown where it is known, and a failure stays', () => {
  const notifications = new Notifications();
  const tasks = new plugin.TasksShown(notifications);
  tasks.heard({ ...EVENT, unit: 'bytes', total: 40 });
  assert.equal(notifications.shown.get(1).progress, 0.25);
  tasks.heard({ ...EVENT, unit: 'bytes', total: 40, state: 'failed' });
  assert.equal(notifications.shown.get(1).message, 'Copying data: it failed');
  assert.equal(notifications.shown.get(1).type, 'error');
});

test('what is over before it was shown, uploads and other events are passed over', () => {
  const notifications = new Notifications();
  const tasks = new plugin.TasksShown(notifications);
  tasks.heard({ ...EVENT, state: 'done' });
  tasks.heard({ ...EVENT, kind: 'upload' });
  tasks.heard({ ...EVENT, schema_id: 'https://events.jupyter.org/jupyter_server/kernel_actions/v1' });
  assert.equal(notifications.shown.size, 0);
});
