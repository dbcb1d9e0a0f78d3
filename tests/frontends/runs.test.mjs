// Runs on the server, as the plugin of the pages starts and shows them, in node.

import assert from 'node:assert/strict';
import test from 'node:test';

import { container, parts, until } from './page.mjs';

const plugin = await parts();

const RUN = { id: 'r', path: 'a.ipynb', state: 'running', done: 1, total: 3, ended: null, error: null };
const OVER = { ...RUN, state: 'ok', done: 3, ended: 'now' };

/** The page's notifications, as the last of each id. */
class Notifications {
  constructor() {
    this.shown = [];
  }
  emit(message, type, options) {
    this.shown.push({ message, type, ...options });
    return this.shown.length - 1;
  }
  update({ id, ...change }) {
    Object.assign(this.shown[id], change);
  }
  error(message) {
    this.emit(message, 'error', {});
  }
}

function server(...answers) {
  const asked = [];
  const ask = async (method, path, { body } = {}) => {
    asked.push([method, path.join('/'), body]);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) {
      throw answer;
    }
    return answer;
  };
  return { asked, ask };
}

test('how far a run is, and how it ended, is told in a sentence', () => {
  const told = change => plugin.described({ ...RUN, ...change });
  assert.deepEqual(told({}), { type: 'in-progress', message: 'a.ipynb: 1 of 3 cells run on the server', progress: 1 / 3 });
  assert.match(told({ state: 'queued', done: 0 }).message, /waits for another run/);
  assert.equal(told({ total: 0, done: 0 }).progress, 0);
  assert.equal(told({ state: 'ok', total: 1 }).message, 'a.ipynb: 1 cell run on the server');
  const error = { ename: 'ValueError', evalue: 'x', index: 4 };
  assert.equal(told({ state: 'error', error }).message, 'a.ipynb: the run on the server ended at cell 5. ValueError: x');
  assert.equal(told({ state: 'error', error: null }).type, 'error');
  assert.equal(told({ state: 'cancelled' }).type, 'info');
});

test('a run is shown once, until it is over', async () => {
  const notifications = new Notifications();
  const { asked, ask } = server({ ...RUN, done: 2 }, new Error('503'), OVER);
  const runs = new plugin.RunsShown({ ask }, notifications, 1);
  await Promise.all([runs.show(RUN), runs.show(RUN)]);
  assert.equal(notifications.shown.length, 1);
  const [{ message, type, autoClose, actions }] = notifications.shown;
  assert.deepEqual([message, type, autoClose, actions], ['a.ipynb: 3 cells run on the server', 'success', 5000, []]);
  assert.deepEqual(asked.map(each => each[1]), Array(3).fill('api/contents/a.ipynb/runs/r'));
});

test('a server that tells no more is given up, and that is told', async () => {
  const notifications = new Notifications();
  const { asked, ask } = server(new Error('gone'));
  await new plugin.RunsShown({ ask }, notifications, 0).show(RUN);
  assert.equal(notifications.shown[0].type, 'warning');
  assert.equal(asked.length, 30);
});

test('a run can be stopped from its notification, and what fails there is told', async () => {
  const notifications = new Notifications();
  let over = false;
  const ask = async method => {
    if (method === 'DELETE') {
      over = true;
      throw new Error('no');
    }
    return over ? { ...OVER, state: 'cancelled' } : RUN;
  };
  const shown = new plugin.RunsShown({ ask }, notifications, 1).show(RUN);
  const kept = [];
  await notifications.shown[0].actions[0].callback({ preventDefault: () => kept.push(true) });
  await shown;
  assert.deepEqual(kept, [true]);
  assert.equal(notifications.shown[1].message, 'The run could not be stopped: no');
  assert.equal(notifications.shown[0].type, 'info');
});

test('a page that is opened shows the runs that are under way', async () => {
  const notifications = new Notifications();
  const { ask } = server([OVER, { ...RUN, id: 's' }], { ...OVER, id: 's' });
  await new plugin.RunsShown({ ask }, notifications, 1).showAll('a.ipynb');
  await until(() => notifications.shown[0]?.type === 'success');
  assert.equal(notifications.shown.length, 1);
});

function panel(saves, hasNoKernel = false) {
  const done = [];
  const model = { dirty: true };
  const save = async () => {
    done.push('saved');
    model.dirty = !saves;
  };
  const sessionContext = { ready: Promise.resolve(), hasNoKernel, startKernel: async () => done.push('kernel') };
  return { done, panel: { context: { model, save, localPath: 'd/a.ipynb' }, sessionContext } };
}

test('the server is asked to run what is saved', async () => {
  const { asked, ask } = server(RUN);
  const all = panel(true);
  assert.equal(await plugin.runOnServer(all.panel, { ask }), RUN);
  assert.deepEqual(all.done, ['saved']);
  const [[method, path, { idempotency_key: key, ...body }]] = asked;
  assert.deepEqual([method, path, body], ['POST', 'api/contents/d/a.ipynb/run', {}]);
  assert.match(key, /^[0-9a-f]{32}$/);
  const some = panel(true, true);
  await plugin.runOnServer(some.panel, { ask }, 0);
  assert.deepEqual(some.done, ['saved', 'kernel']);
  assert.equal(asked[1][2].from, 0);
});

test('what can not be saved is not run', async () => {
  const { asked, ask } = server(RUN);
  assert.equal(await plugin.runOnServer(panel(false).panel, { ask }), null);
  assert.deepEqual(asked, []);
});

/** What the plugin for the dashboard does in a page that has been told `url`. */
async function dashboard(url) {
  const modules = {
    '@jupyterlab/notebook': { INotebookTracker: 'tracker' },
    '@jupyterlab/services': {},
    '@jupyterlab/apputils': { ICommandPalette: 'palette' },
    '@jupyterlab/mainmenu': { IMainMenu: 'menu' },
    '@jupyterlab/launcher': { ILauncher: 'launcher' },
    '@jupyterlab/coreutils': { PageConfig: { getOption: name => (name === 'jupyterdDashboard' ? url : '') } }
  };
  const ours = container();
  ours.init(Object.fromEntries(Object.entries(modules).map(([name, module]) => [name, { 1: { get: async () => () => module } }])));
  const made = (await ours.get('./extension'))().default.find(each => each.id === 'jupyterd:dashboard');
  const added = [];
  const app = { commands: { addCommand: name => added.push(name) } };
  const places = {
    palette: { addItem: () => added.push('palette') },
    menu: { helpMenu: { addGroup: () => added.push('menu') } },
    launcher: { add: () => added.push('launcher') }
  };
  made.activate(app, ...made.optional.map(token => places[token]));
  return added;
}

test('the way to the dashboard is there where the server has one', async () => {
  assert.deepEqual(await dashboard('/jupyterd'), ['jupyterd:dashboard', 'palette', 'menu', 'launcher']);
  assert.deepEqual(await dashboard(''), []);
});
