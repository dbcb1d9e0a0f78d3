// The plugin of the pages, in node: `node --test tests/frontends/plugin.test.mjs`.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';

import { Kernel, after, cell, container, message, parts, record, request, text, until } from './page.mjs';

const warnings = [];
const plugin = await parts(warnings);
const hash = source => createHash('sha256').update(source).digest('hex');
const same = (a, b, why) => assert.deepEqual(JSON.parse(JSON.stringify(a)), b, why);
const stream = (said, parent) => message('stream', { name: 'stdout', text: said }, parent);
const status = (state, parent) => message('status', { execution_state: state }, parent);
const out = said => ({ output_type: 'stream', name: 'stdout', text: said });

/** A page of one notebook; `answers` are the server's, in turn, and functions of them are called when it is asked. */
function page(cells, ...answers) {
  const kernel = new Kernel();
  const asked = [];
  const ask = async () => {
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    asked.push(answer);
    return typeof answer === 'function' ? answer(kernel) : answer;
  };
  const quiet = [];
  const quietly = change => {
    quiet.push(change);
    return change();
  };
  followers.push(new plugin.Follower(kernel, () => cells, ask, quietly));
  return { kernel, asked, quiet };
}

const followers = [];
test.after(() => followers.forEach(follower => follower.dispose()));

/** An answer whose fence comes at once. */
const fenced = (...executions) => kernel => {
  const fence = status('busy');
  void kernel.receive(fence);
  return { fence: fence.header.msg_id, executions };
};

test('SHA-256 is that of everybody, for every length of the last block and beyond ASCII', () => {
  for (let length = 0; length < 200; length++) {
    assert.equal(plugin.sha256('x'.repeat(length)), hash('x'.repeat(length)));
  }
  for (const odd of ['é', '数字', '🙂\n', 'print("ü")\n'.repeat(1000)]) {
    assert.equal(plugin.sha256(odd), hash(odd));
  }
});

test('a cell is found by its id if it still says what was run, else by what it says alone', () => {
  const cells = [{ id: 'a', source: '1' }, { id: 'b', source: '2' }, { id: 'c', source: '2' }];
  const place = (cell_id, source) => plugin.placeOf({ cell_id, source_sha256: hash(source) }, cells)?.id;
  assert.equal(place('a', '1'), 'a');
  assert.equal(place('a', '2'), undefined, 'it was changed');
  assert.equal(place('gone', '1'), 'a');
  assert.equal(place(null, '2'), undefined, 'two say so');
  assert.equal(plugin.placeOf({ cell_id: 'gone', source_sha256: null }, cells), null);
});

test('outputs are the same whatever pieces they come in, and what was typed is no output', () => {
  const some = [out('a'), out('b'), { output_type: 'display_data', data: { 'text/plain': 'x' }, metadata: {} }];
  const others = [
    { ...out(''), text: ['a', 'b'] },
    { output_type: 'stream', name: 'stdin', text: 'typed' },
    { metadata: {}, data: { 'text/plain': ['x'] }, output_type: 'display_data', transient: { display_id: 'd' } }
  ];
  assert.ok(plugin.sameOutputs(some, others));
  assert.ok(!plugin.sameOutputs(some, some.slice(1)));
  const json = list => [{ output_type: 'display_data', data: { 'application/json': list }, metadata: {} }];
  assert.ok(!plugin.sameOutputs(json(['a', 'b']), json('ab')), 'a list of JSON is no split text');
});

test('of a shared module the version is used that the page uses', () => {
  assert.equal(plugin.usedVersion({ '4.9.0': {}, '4.10.0': {}, '4.10.0-rc.1': {} }), '4.10.0');
  assert.equal(plugin.usedVersion({ '4.2.0': { loaded: 1 }, '4.10.0': {} }), '4.2.0');
});

test('the container gives plugins with what the page has, and none where it lacks what they need', async () => {
  const modules = {
    '@jupyterlab/notebook': { INotebookTracker: 'tracker' },
    '@jupyterlab/services': { ServerConnection: {} },
    '@jupyterlab/apputils': { ICommandPalette: 'palette', Notification: {} },
    '@jupyterlab/mainmenu': { IMainMenu: 'menu' },
    '@jupyterlab/coreutils': { PageConfig: { getOption: () => '' } }
  };
  const shared = Object.fromEntries(
    Object.entries(modules).map(([name, module]) => [name, { '4.6.0': { get: async () => () => module } }])
  );
  const ours = container();
  ours.init(shared);
  const plugins = (await ours.get('./extension'))().default;
  same(plugins.map(each => each.id), ['jupyterd:outputs', 'jupyterd:run', 'jupyterd:progress', 'jupyterd:dashboard']);
  const alone = container();
  alone.init({});
  same((await alone.get('./extension'))().default, []);
});

test('a cell that runs is shown with its outputs so far, goes on and ends with its count', async () => {
  const place = cell('a', 'x');
  const parent = request('r');
  const { kernel } = page([place], fenced(record('r', 'a', { source_sha256: hash('x'), outputs: [out('1\n')] })));
  await until(() => text(place) === '1\n');
  assert.equal(place.cell.model.executionState, 'running');
  assert.ok(place.cell.model.trusted);
  await kernel.receive(message('execute_input', { code: 'x', execution_count: 7 }, parent));
  await kernel.receive(stream('2\n', parent));
  assert.equal(text(place), '1\n2\n');
  await kernel.receive(status('idle', parent));
  assert.equal(place.cell.model.executionState, 'idle');
  assert.equal(place.cell.model.executionCount, 7);
  await place.cell.outputArea.future.done;
});

test('a cell that waited and was never begun ends without a count', async () => {
  const place = cell('a', 'x');
  const { kernel } = page([place], fenced(record('r', 'a', { state: 'queued' })));
  await until(() => place.cell.model.executionState === 'running');
  await kernel.receive(status('idle', request('r')));
  assert.equal(place.cell.model.executionState, 'idle');
  assert.equal(place.cell.model.executionCount, null);
});

test('while a cell runs the kernel is not idle, whatever else it has done', async () => {
  const place = cell('a', 'x');
  const { kernel } = page([place], fenced(record('r', 'a')));
  await until(() => place.cell.model.executionState === 'running');
  const question = { msg_id: 'd', msg_type: 'debug_request', session: 'page' };
  await kernel.receive(status('idle', question));
  assert.equal(kernel.status, 'busy');
  await kernel.receive(status('idle', request('r')));
  assert.equal(kernel.status, 'idle');
});

test('what is run while the page is there is followed, from its first message on', async () => {
  const place = cell('a', 'x');
  const late = fenced(record('r', 'a', { outputs: [out('1')], execution_count: 3 }));
  const { kernel, asked } = page([place], fenced(), late);
  await until(() => asked.length === 1);
  await after(20);
  void kernel.receive(stream('1', request('r')));
  await until(() => text(place) === '1');
  await kernel.receive(stream('2', request('r')));
  assert.equal(text(place), '12');
});

test('what another page saves is no reason to save here', async () => {
  const [theirs, ours] = [cell('a', 'x'), cell('b', 'y')];
  const told = [record('r', 'a', { yours: false, outputs: [out('1')] }), record('s', 'b', { outputs: [out('1')] })];
  const { kernel, quiet } = page([theirs, ours], fenced(...told));
  await until(() => text(theirs) === '1' && text(ours) === '1');
  assert.equal(quiet.length, 1);
  await kernel.receive(stream('2', request('s')));
  assert.equal(quiet.length, 1);
  await kernel.receive(stream('2', request('r')));
  await kernel.receive(status('idle', request('r')));
  assert.equal(text(theirs), '12');
  assert.ok(quiet.length > 2);
  assert.equal(theirs.cell.model.executionState, 'idle');
});

test('an end that came before the answer ends the cell, though the reply is not there yet', async () => {
  const place = cell('a', 'x');
  const { kernel } = page([place], async kernel => {
    await kernel.receive(status('idle', request('r')));
    return fenced(record('r', 'a', { outputs: [out('1')], execution_count: 3, idle: true }))(kernel);
  });
  await kernel.receive(stream('1', request('r')));
  await until(() => place.cell.model.executionCount === 3);
  assert.equal(place.cell.model.executionState, 'idle');
  assert.equal(text(place), '1');
});

test('one that begins while the server is asked is asked about again', async () => {
  const place = cell('a', 'x');
  const begun = async kernel => {
    const answer = fenced()(kernel);
    await kernel.receive(stream('1', request('r')));
    return answer;
  };
  const { asked } = page([place], begun, fenced(record('r', 'a', { outputs: [out('1')] })));
  await until(() => text(place) === '1');
  assert.equal(asked.length, 2);
});

test('what has no place in the notebook, and what the page runs itself, is let be', async () => {
  const place = cell('a', 'new');
  const told = [record('r', 'a', { source_sha256: hash('old') }), record('s', 'b')];
  const { kernel, asked } = page([place], fenced(...told));
  for (const id of ['r', 's', 't']) {
    await kernel.receive(stream('x', request(id)));
  }
  await until(() => asked.length === 1 && kernel._futures.size === 0);
  await kernel.receive(stream('x', request('r')));
  await kernel.receive(stream('x', request('mine', 'page')));
  await after(80);
  assert.equal(asked.length, 1, 'nothing new');
  assert.equal(kernel._futures.size, 0);
  assert.equal(text(place), '');
});

test('of several runs of one cell the last counts', async () => {
  const place = cell('a', 'x');
  page([place], fenced(record('r', 'a', { state: 'ok', ended: 'then', outputs: [out('1')] }), record('s', 'a', { outputs: [out('2')] })));
  await until(() => text(place) === '2');
  assert.equal(place.cell.outputArea.future.msg.header.msg_id, 's');
});

test('what ended between the file and the answer is shown once; what the file has is not touched', async () => {
  const [news, saved] = [cell('a', 'x'), cell('b', 'y')];
  saved.cell.outputArea.model.add(out('kept'));
  const ended = { state: 'ok', execution_count: 4, ended: 'then' };
  const told = [
    record('r', 'a', { ...ended, outputs: [out('end')] }),
    record('s', 'b', { ...ended, outputs: [out('other')], saved: true })
  ];
  const { kernel, asked } = page([news, saved], fenced(...told));
  await until(() => text(news) === 'end');
  assert.equal(news.cell.model.executionCount, 4);
  assert.equal(text(saved), 'kept');
  news.cell.outputArea.model.clear(); // by whoever reads it
  kernel.connection('connecting');
  kernel.connection('connected');
  await until(() => asked.length === 2);
  await after(20);
  assert.equal(text(news), '');
});

test('input is asked for in this page, once, and its box goes with the end', async () => {
  const place = cell('a', 'x');
  const header = { msg_id: 'i', msg_type: 'input_request', session: 'kernel' };
  const { kernel } = page([place], fenced(record('r', 'a', { input_request: { prompt: '? ', password: false, header } })));
  await until(() => place.cell.outputArea.widgets.length === 1);
  await kernel.receive(message('input_request', { prompt: '? ', password: false }, request('r'), 'stdin'));
  assert.equal(place.cell.outputArea.widgets.length, 1);
  const [box] = place.cell.outputArea.widgets;
  assert.equal(box.header.msg_id, 'i');
  assert.equal(kernel.hasPendingInput, true);
  place.cell.outputArea.future.sendInputReply({ status: 'ok', value: 'v' }, box.header);
  same(kernel.replies[0][0], { status: 'ok', value: 'v' });
  assert.equal(kernel.replies[0][1].msg_id, 'i', 'its header goes with the answer');
  await kernel.receive(status('idle', request('r')));
  assert.equal(place.cell.outputArea.widgets.length, 0);
  assert.equal(kernel.hasPendingInput, false);
});

test('outputs of widgets are taken by them, in order, though they take their time', async () => {
  const place = cell('a', 'x');
  const { kernel } = page([place], fenced(record('r', 'a')));
  await until(() => kernel._futures.get('r')?.cell);
  const taken = [];
  const hook = async said => {
    await after(5);
    taken.push(said.content.text);
    return said.content.text === 'cell';
  };
  kernel._futures.get('r').registerMessageHook(hook);
  for (const said of ['widget', 'cell', 'widget']) {
    void kernel.receive(stream(said, request('r')));
  }
  await kernel._msgChain;
  same(taken, ['widget', 'cell', 'widget']);
  assert.equal(text(place), 'cell');
});

test('displays that were there before are led to their cell', async () => {
  const shown = { output_type: 'display_data', data: {}, metadata: {}, transient: { display_id: 'd' } };
  const place = cell('a', 'x');
  const { kernel } = page([place], fenced(record('r', 'a', { outputs: [shown], clear_next: true })));
  await until(() => kernel._displayIdToParentIds.has('d'));
  same(kernel._displayIdToParentIds.get('d'), ['r']);
  await kernel.receive(stream('new', request('r')));
  same(place.cell.outputArea.model.toJSON(), [out('new')], 'the clear that was due came with the next output');
  place.cell.outputArea.future.dispose();
  assert.ok(!kernel._displayIdToParentIds.has('d'));
});

test('a cell that is run again in this page is left to it', async () => {
  const place = cell('a', 'x');
  const { kernel } = page([place], fenced(record('r', 'a')));
  await until(() => place.cell.model.executionState === 'running');
  place.cell.outputArea.future = { dispose: () => undefined };
  await kernel.receive(stream('old', request('r')));
  await kernel.receive(status('idle', request('r')));
  assert.equal(text(place), '');
  assert.equal(place.cell.model.executionState, 'running', 'the prompt is the new run\'s');
});

test('a restart ends what was followed, and the server tells how', async () => {
  const place = cell('a', 'x');
  const died = { output_type: 'error', ename: 'DeadKernel', evalue: '', traceback: [] };
  const { kernel } = page(
    [place],
    fenced(record('r', 'a')),
    fenced(record('r', 'a', { state: 'error', execution_count: 1, outputs: [died], ended: 'then' }))
  );
  await until(() => place.cell.model.executionState === 'running');
  [...kernel._futures.values()].forEach(future => future.dispose());
  await after(1);
  assert.equal(place.cell.model.executionState, 'idle');
  kernel.connection('connecting');
  kernel.connection('connected');
  await until(() => place.cell.model.executionCount === 1);
  same(place.cell.outputArea.model.toJSON(), [died]);
});

test('what a connection brings again after it was lost is dropped, for cells of this page too', async () => {
  const place = cell('a', 'x');
  const told = record('r', 'a', { outputs: [out('1')] });
  const { kernel, asked } = page([place], fenced(told), fenced({ ...told, outputs: [out('12')] }));
  await until(() => text(place) === '1');
  const mine = [];
  kernel._futures.set('mine', { handleMsg: said => mine.push(said.content.text) });
  const sent = [stream('2', request('r')), stream('a', request('mine', 'page'))];
  for (const said of sent) {
    await kernel.receive(said);
  }
  kernel.connection('connecting');
  kernel.connection('connected');
  for (const said of sent) {
    await kernel.receive({ ...said });
  }
  await kernel.receive(stream('b', request('mine', 'page')));
  await until(() => asked.length === 2);
  await kernel.receive(stream('3', request('r')));
  await after(5);
  assert.equal(text(place), '123');
  same(mine, ['a', 'b']);
});

test('what a lost connection has swallowed is in the next answer', async () => {
  const place = cell('a', 'x');
  const { kernel } = page([place], fenced(record('r', 'a', { outputs: [out('1')] })), fenced(record('r', 'a', { outputs: [out('123')] })));
  await until(() => text(place) === '1');
  kernel.connection('connecting');
  kernel.connection('connected');
  await until(() => text(place) === '123');
  await kernel.receive(stream('4', request('r')));
  assert.equal(text(place), '1234');
});

test('without a fence the last message in the answer tells where to go on', async () => {
  const place = cell('a', 'x');
  const [one, two, three] = ['1', '2', '3'].map(said => stream(said, request('r')));
  const { kernel } = page([place], async held => {
    for (const said of [one, two, three]) {
      await held.receive(said);
    }
    return { fence: null, executions: [record('r', 'a', { outputs: [out('12')], last_msg_id: two.header.msg_id })] };
  });
  await kernel.receive(one);
  await until(() => text(place) === '123');
});

test('a server that does not answer is asked again, and cells that are followed go on', async () => {
  const place = cell('a', 'x');
  const { kernel, asked } = page([place], fenced(record('r', 'a')), async () => {
    throw new Error('502 Bad Gateway');
  });
  await until(() => place.cell.model.executionState === 'running');
  await kernel.receive(stream('x', request('other')));
  await until(() => asked.length === 2);
  await kernel.receive(stream('1', request('r')));
  await after(5);
  assert.equal(text(place), '1');
  assert.match(warnings.join(), /502 Bad Gateway/);
});

/**
 * A server and a page in random order: the kernel speaks, the link carries, answers overtake messages and are overtaken
 * by them, the connection breaks and what was under way is sent again. At the end the cell says each number once.
 */
async function anyOrder(seed) {
  let state = seed;
  const random = below => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
  const log = [];
  const place = cell('a', 'x');
  const parent = request('r');
  let [read, said] = [0, 0];
  const speak = () => log.push(stream(`${said++} `, parent));
  const toldBy = () => {
    const outputs = log.filter(each => each.header.msg_type === 'stream').map(each => each.content.text);
    const idle = log.some(each => each.content.execution_state === 'idle');
    return record('r', 'a', { execution_count: 1, outputs: outputs.length ? [out(outputs.join(''))] : [], idle });
  };
  for (let i = random(5); i > 0; i--) {
    speak();
  }
  read = log.length; // the page connects
  const { kernel } = page([place], async () => {
    await after(random(15));
    const fence = status('busy');
    const answer = { fence: fence.header.msg_id, executions: [toldBy()] };
    log.push(fence);
    await after(random(15));
    return answer;
  });
  const carry = () => read < log.length && void kernel.receive(log[read++]);
  for (let turn = 0; turn < 60; turn++) {
    const what = random(10);
    if (what < 4) {
      speak();
    } else if (what < 9) {
      carry();
    } else if (random(4) === 0) {
      kernel.connection('connecting');
      read = Math.max(0, read - random(3)); // at least once
      kernel.connection('connected');
    }
    await after(random(4));
  }
  await after(random(150));
  log.push(status('idle', parent));
  while (read < log.length) {
    carry();
  }
  await until(() => place.cell.model.executionState === 'idle');
  assert.equal(text(place), Array.from({ length: said }, (_, i) => `${i} `).join(''), `seed ${seed}`);
}

test('nothing is shown twice and nothing is missing, in whatever order all comes', async () => {
  await Promise.all(Array.from({ length: 300 }, (_, seed) => anyOrder(seed + 1)));
});

// -- widgets

/** A page with a widget manager whose models hear updates, as that of JupyterLab. */
function withWidgets(kernel, delay = 0) {
  const models = {};
  kernel._targetRegistry['jupyter.widget'] = async (comm, msg) => {
    const { state } = msg.content.data;
    if (state.broken) {
      throw new Error('no such model');
    }
    const model = (models[comm.id] = { state: { ...state }, msg });
    await new Promise(resolve => setTimeout(resolve, delay)); // its class is loaded
    comm.onMsg = ({ content }) => void Object.assign(model.state, content.data.state);
  };
  return models;
}

const widget = (comm_id, state, more = {}) => ({
  comm_id,
  target_name: 'jupyter.widget',
  metadata: { version: '2.1.0' },
  data: { state, buffer_paths: [] },
  buffers: [],
  ...more
});
const moved = (comm_id, value) =>
  message('comm_msg', { comm_id, data: { method: 'update', state: { value } } }, request('x'));

test('widgets of a cell that runs are opened, and hear what came since', async () => {
  const cells = [cell('c', '')];
  const shown = { output_type: 'display_data', data: { 'application/vnd.jupyter.widget-view+json': {} }, metadata: {} };
  let models;
  const { kernel } = page(cells, kernel => {
    models = withWidgets(kernel, 20);
    void kernel.receive(moved('bar', 4)); // is in the answer
    const fence = status('busy');
    void kernel.receive(fence);
    void kernel.receive(moved('bar', 6));
    void kernel.receive(message('comm_close', { comm_id: 'closed' }, request('x')));
    const widgets = [
      widget('bar', { value: 5, layout: 'IPY_MODEL_layout' }),
      widget('layout', {}, { data: { state: { x: null }, buffer_paths: [['x']] }, buffers: ['AQI='] }),
      widget('closed', {}),
      widget('broken', { broken: true }),
      widget('foreign', {}, { target_name: 'unknown' })
    ];
    const executions = [record('x', 'c', { outputs: [shown] })];
    return { fence: fence.header.msg_id, executions, widgets };
  });
  await until(() => cells[0].cell.outputArea.model.list.length);
  assert.deepEqual(models.bar.state, { value: 6, layout: 'IPY_MODEL_layout' });
  assert.equal(models.bar.msg.metadata.version, '2.1.0');
  assert.equal(models.layout.msg.buffers[0].getUint8(1), 2);
  assert.deepEqual([...kernel._comms.keys()], ['bar', 'layout']);
  await kernel.receive(moved('bar', 7));
  assert.equal(models.bar.state.value, 7);
});

test('widgets that the page has are left alone, and a page without a manager shows the cell all the same', async () => {
  const cells = [cell('c', '')];
  const told = fenced(record('x', 'c', { outputs: [out('a')] }));
  const { kernel } = page(cells, kernel => {
    kernel.createComm('jupyter.widget', 'bar').onMsg = () => undefined;
    return { ...told(kernel), widgets: [widget('bar', { value: 1 }), widget('other', {})] };
  });
  await until(() => text(cells[0]) === 'a');
  assert.deepEqual([...kernel._comms.keys()], ['bar']);
});

test('views in cells that ran before are shown, and an output widget takes what is its own', async () => {
  const cells = [cell('c', ''), cell('earlier', '')];
  const shown = [];
  const view = { _rerenderMimeModel: {}, _rerender: () => shown.push('slider') };
  cells[1].cell.outputArea.widgets = [{ widgets: [{}, view, { _rerenderMimeModel: null, _rerender: assert.fail }] }, {}];
  const taken = [];
  const { kernel } = page(cells, kernel => {
    kernel._targetRegistry['jupyter.widget'] = async (comm, msg) => {
      assert.equal(msg.content.data.state.msg_id, '');
      comm.onMsg = ({ content }) => {
        const hook = said => (taken.push(said.content.text), false);
        kernel._futures.get(content.data.state.msg_id).registerMessageHook(hook);
      };
    };
    const fence = status('busy');
    void kernel.receive(fence);
    void kernel.receive(stream('captured', request('x')));
    return { fence: fence.header.msg_id, executions: [record('x', 'c')], widgets: [widget('out', { msg_id: 'x' })] };
  });
  await until(() => taken.length);
  assert.deepEqual(shown, ['slider']);
  assert.deepEqual(taken, ['captured']);
  assert.equal(text(cells[0]), '');
});
