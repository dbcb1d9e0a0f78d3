// JupyterLab's own client library against a server: node services.cjs <base url> <token>
// Prints one line a step; exits with 1 if any failed. NODE_PATH leads to @jupyterlab/services and ws.
const [base, token] = process.argv.slice(2);
const s = require('@jupyterlab/services');
const { PageConfig } = require('@jupyterlab/coreutils');
PageConfig.setOption('terminalsAvailable', 'true');
PageConfig.setOption('baseUrl', base);
globalThis.window = { localStorage: { getItem: () => null, setItem() {}, removeItem() {} } };
const serverSettings = s.ServerConnection.makeSettings({
  baseUrl: base, wsUrl: base.replace('http', 'ws'), appUrl: '/lab', token, appendToken: true, init: {},
  WebSocket: require('ws'), fetch, Request, Headers,
});
console.debug = console.warn = () => {};

const same = (found, wanted) => {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
};
const wait = ms => new Promise(resolve => setTimeout(resolve, ms));
let failed = 0;
async function step(name, action) {
  const late = wait(30000).then(() => { throw new Error('not in time'); });
  try { await Promise.race([action(), late]); console.log('ok', name); } catch (error) { failed++; console.log('FAILED', name, error); }
}

async function contents() {
  const contents = new s.ContentsManager({ defaultDrive: new s.Drive({ serverSettings }), serverSettings });
  const text = content => ({ type: 'file', format: 'text', content });
  await step('new notebook', async () => same((await contents.newUntitled({ type: 'notebook' })).path, 'Untitled.ipynb'));
  await step('save, get', async () => {
    await contents.save('a b%20\u00fc.txt', text('h\u00e9'));
    same((await contents.get('a b%20\u00fc.txt')).content, 'h\u00e9');
  });
  await step('rename, copy, delete', async () => {
    await contents.rename('a b%20\u00fc.txt', 'c.txt');
    same((await contents.copy('c.txt', '')).path, 'c-Copy1.txt');
    await contents.delete('c.txt');
  });
  await step('checkpoints', async () => {
    const made = await contents.createCheckpoint('Untitled.ipynb');
    same((await contents.listCheckpoints('Untitled.ipynb')).length, 1);
    await contents.restoreCheckpoint('Untitled.ipynb', made.id);
    await contents.deleteCheckpoint('Untitled.ipynb', made.id);
  });
  await step('download', async () => {
    const url = await contents.getDownloadUrl('c-Copy1.txt');
    same(await (await fetch(`${url}${url.includes('?') ? '&' : '?'}token=${token}`)).text(), 'h\u00e9');
  });
  await step('events', async () => {
    const events = new s.EventManager({ serverSettings });
    const told = new Promise(resolve => events.stream.connect((_, event) => event.action === 'save' && resolve(event.path)));
    await wait(800);
    await contents.save('told.txt', text('x'));
    same(await told, 'told.txt');
    events.dispose();
  });
}

async function run(kernel, code) {
  const outputs = [];
  const future = kernel.requestExecute({ code, allow_stdin: true });
  future.onIOPub = ({ content }) => outputs.push(content.text ?? content.data?.['text/plain'] ?? content.ename);
  future.onStdin = message => kernel.sendInputReply({ status: 'ok', value: 'typed' }, message.header);
  await future.done;
  return outputs.filter(output => output !== undefined);
}

async function kernels() {
  const kernelManager = new s.KernelManager({ serverSettings });
  const sessions = new s.SessionManager({ serverSettings, kernelManager });
  await sessions.ready;
  const session = await sessions.startNew({ path: 'n.ipynb', name: 'n', type: 'notebook', kernel: { name: 'python3' } });
  const { kernel } = session;
  await step('kernel info', async () => same((await kernel.info).implementation, 'ipython'));
  await step('outputs', async () => same(await run(kernel, 'print(1)\n2 + 2'), ['1\n', '4']));
  await step('an error', async () => same(await run(kernel, '1 / 0'), ['ZeroDivisionError']));
  await step('stdin', async () => same(await run(kernel, 'input()'), ["'typed'"]));
  await step('buffers', async () => {
    await run(kernel, 'def b(comm, message): comm.send({}, buffers=[b"x" * 5_000_000])\nget_ipython().kernel.comm_manager.register_target("b", b)');
    const comm = kernel.createComm('b');
    const size = new Promise(resolve => { comm.onMsg = message => resolve(message.buffers[0].byteLength); });
    comm.open({});
    same(await size, 5000000);
  });
  await step('a flood', async () => same((await run(kernel, 'for i in range(20000): print(i)')).join('').split('\n').length, 20001));
  await step('interrupt', async () => {
    const told = run(kernel, 'import time\ntime.sleep(60)');
    await wait(500);
    await kernel.interrupt();
    same(await told, ['KeyboardInterrupt']);
  });
  await step('restart', async () => { await kernel.restart(); same(await run(kernel, '"again"'), ["'again'"]); });
  await step('rename a session', async () => {
    await session.setPath('moved.ipynb');
    await sessions.refreshRunning();
    same([...sessions.running()].map(model => model.path), ['moved.ipynb']);
  });
  await step('change the kernel', async () => {
    const before = session.kernel.id;
    await session.changeKernel({ name: 'python3' });
    same(session.kernel.id === before, false);
  });
  await step('shut down', async () => {
    await sessions.shutdownAll();
    await kernelManager.refreshRunning();
    same([...kernelManager.running()], []);
  });
}

async function others() {
  await step('settings', async () => {
    const settings = new s.SettingManager({ serverSettings });
    await settings.save('@jupyterlab/apputils-extension:themes', '{"theme": "JupyterLab Dark"}');
    same((await settings.fetch('@jupyterlab/apputils-extension:themes')).settings.theme, 'JupyterLab Dark');
  });
  await step('workspaces', async () => {
    const workspaces = new s.WorkspaceManager({ serverSettings });
    await workspaces.save('w/x', { data: { a: 1 }, metadata: { id: 'w/x' } });
    same((await workspaces.list()).ids, ['w/x']);
    same((await workspaces.fetch('w/x')).data, { a: 1 });
    await workspaces.remove('w/x');
  });
  await step('terminals', async () => {
    const terminals = new s.TerminalManager({ serverSettings });
    const terminal = await terminals.startNew();
    let printed = '';
    terminal.messageReceived.connect((_, { type, content }) => { if (type === 'stdout') printed += content[0]; });
    terminal.send({ type: 'stdin', content: ['echo $((40 + 2))$TERM\r'] });
    while (!printed.includes('42xterm')) await wait(50);
    await terminal.shutdown();
  });
  await step('the user', async () => {
    const users = new s.UserManager({ serverSettings });
    await users.ready;
    same(Object.keys(users.identity).includes('display_name'), true);
  });
  await step('export formats', async () => {
    same('html' in (await new s.NbConvertManager({ serverSettings }).getExportFormats()), true);
  });
}

(async () => { await contents(); await kernels(); await others(); process.exit(failed ? 1 : 0); })();
