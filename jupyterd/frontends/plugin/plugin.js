/*
 * jupyterd's own part of the pages of JupyterLab 4 and Notebook 7, as a federated extension written by hand: a
 * container with `init` and `get`. Nothing is built and nothing is loaded but what the page has already.
 *
 * What it does:
 *   jupyterd:outputs    a page that is opened while cells run shows them running, their outputs so far, and what
 *                       follows, as if it had started them itself.
 *   jupyterd:run        "Run on the server": the cells go on whatever happens to the page.
 *   jupyterd:progress   shows what takes a while on the server: conversions, copies, a start of its extensions.
 *   jupyterd:dashboard  the way to the server's dashboard, where there is one.
 *
 * The order of things is decided by a fence. When the page asks what runs, the server puts a status message into this
 * page's websocket at the moment for which its answer holds, and tells that message's id in the answer. What the
 * websocket brought before the fence is in the answer, what it brings after it is not. So nothing is shown twice and
 * nothing is missing, however late either of them is.
 */
(() => {
  'use strict';

  const NAME = 'jupyterd';

  /** Milliseconds in which signs of foreign executions are gathered before the server is asked about them. */
  const GATHER = 50;

  /** Milliseconds after which an answer is used without its fence, and a failed question is asked again. */
  const PATIENCE = 10000;

  /** Messages of one execution that may wait for an answer; with more of them the server is asked anew instead. */
  const WAITING = 50000;

  /** Ids of messages that are remembered of one connection, to know them when they come again. */
  const REMEMBERED = 8192;

  // -- Pure parts --------------------------------------------------------------------------------------------------

  const ROUNDS = roundConstants();

  /** The first 64 round constants of SHA-256: fractional parts of the cube roots of the first primes. */
  function roundConstants() {
    const found = [];
    for (let n = 2; found.length < 64; n++) {
      let prime = true;
      for (let d = 2; d * d <= n && prime; d++) {
        prime = n % d !== 0;
      }
      if (prime) {
        found.push(Math.floor((Math.cbrt(n) % 1) * 0x100000000) >>> 0);
      }
    }
    return found;
  }

  /**
   * The SHA-256 of a text in UTF-8, in hexadecimal. Browsers have it for pages of secure origins alone, and many
   * servers are reached by plain HTTP. Source: FIPS 180-4.
   */
  function sha256(text) {
    const bytes = new TextEncoder().encode(text);
    const padded = new Uint8Array(((bytes.length + 72) >> 6) << 6);
    padded.set(bytes);
    padded[bytes.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 8, Math.floor(bytes.length / 0x20000000));
    view.setUint32(padded.length - 4, bytes.length << 3);
    const hash = [
      0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
    ];
    for (let at = 0; at < padded.length; at += 64) {
      compress(hash, view, at);
    }
    return hash.map(word => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** One block of SHA-256. */
  function compress(hash, view, at) {
    const turn = (x, n) => (x >>> n) | (x << (32 - n));
    const w = new Int32Array(64);
    for (let i = 0; i < 64; i++) {
      if (i < 16) {
        w[i] = view.getInt32(at + 4 * i);
      } else {
        const [x, y] = [w[i - 15], w[i - 2]];
        w[i] =
          w[i - 16] + w[i - 7] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
      }
    }
    let [a, b, c, d, e, f, g, h] = hash;
    for (let i = 0; i < 64; i++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[i] + w[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => {
      hash[i] = (hash[i] + word) | 0;
    });
  }

  /** A text that nbformat may have split into lines; lists in JSON data stay lists. */
  function joined(value) {
    const lines = Array.isArray(value) && value.every(line => typeof line === 'string');
    return lines ? value.join('') : value;
  }

  function isJson(mimetype) {
    return mimetype === 'application/json' || mimetype.endsWith('+json');
  }

  /** An output of nbformat with each text in one piece. */
  function whole(output) {
    const made = { ...output };
    if (output.output_type === 'stream') {
      made.text = joined(output.text);
    }
    if (output.data) {
      made.data = Object.fromEntries(
        Object.entries(output.data).map(([type, value]) => [type, isJson(type) ? value : joined(value)])
      );
    }
    return made;
  }

  /** An output as the message that brought it, for the handlers that make outputs of messages. */
  function asMessage(output, request) {
    const { output_type, ...content } = whole(output);
    return {
      channel: 'iopub',
      header: { ...request.header, msg_id: newId(), msg_type: output_type },
      parent_header: request.header,
      metadata: {},
      content,
      buffers: []
    };
  }

  /** JSON with sorted keys. */
  function canonical(value) {
    return JSON.stringify(value, (_, inner) =>
      inner !== null && typeof inner === 'object' && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner
    );
  }

  /** Outputs as they are compared: without what only pages know, neighbouring pieces of one stream made one. */
  function plain(outputs) {
    const made = [];
    for (const output of outputs) {
      const { transient, ...rest } = whole(output);
      const last = made[made.length - 1];
      if (rest.output_type !== 'stream') {
        made.push(rest);
      } else if (last?.output_type === 'stream' && last.name === rest.name) {
        last.text += rest.text;
      } else if (rest.name !== 'stdin') {
        made.push(rest); // pages echo what was typed, kernels do not
      }
    }
    return made;
  }

  /** Whether two lists of outputs look the same. */
  function sameOutputs(some, others) {
    return canonical(plain(some)) === canonical(plain(others));
  }

  /** Of two versions the higher one comes last. */
  function byVersion(a, b) {
    const numbers = text => text.split(/[.\-+]/).map(part => (/^\d+$/.test(part) ? Number(part) : -1));
    const [left, right] = [numbers(a), numbers(b)];
    for (let i = 0; i < Math.max(left.length, right.length); i++) {
      const difference = (left[i] ?? 0) - (right[i] ?? 0);
      if (difference) {
        return difference;
      }
    }
    return 0;
  }

  /** Which version of a shared module the page uses: one that is loaded, else the highest. */
  function usedVersion(versions) {
    const names = Object.keys(versions).sort(byVersion);
    return names.find(name => versions[name].loaded) ?? names[names.length - 1];
  }

  /**
   * The cell in which an execution belongs; null if there is none, or if it says something else now.
   *
   * @param cells - `{ id, source }` of each code cell
   */
  function placeOf(execution, cells) {
    const same = cell => !execution.source_sha256 || sha256(cell.source) === execution.source_sha256;
    const named = cells.find(cell => cell.id === execution.cell_id);
    if (named) {
      return same(named) ? named : null;
    }
    // Notebooks without ids get new ones in each page: the only cell that says the same is the one.
    const alike = execution.source_sha256 ? cells.filter(same) : [];
    return alike.length === 1 ? alike[0] : null;
  }

  /** What came after the message of an id; everything where it is not among them. */
  function after(messages, id) {
    return messages.slice(messages.findIndex(message => message.header.msg_id === id) + 1);
  }

  /** Whether nothing follows what the server tells: neither from the kernel nor, where that died, from anybody. */
  function isOver(execution) {
    return Boolean(execution.idle || execution.ended);
  }

  function newId() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
  }

  // -- Messages that come again --------------------------------------------------------------------------------------

  /**
   * Tells messages that the connection before this one has brought already. A server that can not know what a lost
   * connection had delivered sends it again. Within one connection nothing is taken for a double.
   */
  class Doubles {
    constructor() {
      this._before = new Set();
      this._now = new Set();
      this._dropped = new WeakSet();
    }

    /** There is a new connection. */
    reconnected() {
      this._before = this._now;
      this._now = new Set();
    }

    /** Note a message; whether it came before. */
    note(message) {
      const key = `${message.header.msg_id} ${message.header.msg_type}`;
      if (this._before.has(key)) {
        this._dropped.add(message);
        return true;
      }
      this._now.add(key);
      if (this._now.size > REMEMBERED) {
        this._now.delete(this._now.values().next().value);
      }
      return false;
    }

    /** Keep the kernel connection from handling what came before; returns what undoes that. */
    guard(kernel) {
      const handle = kernel._handleMessage;
      if (typeof handle !== 'function') {
        return () => undefined;
      }
      kernel._handleMessage = message =>
        this._dropped.has(message) ? Promise.resolve() : handle.call(kernel, message);
      return () => delete kernel._handleMessage;
    }
  }

  // -- One execution that somebody else has started ------------------------------------------------------------------

  /**
   * What an output area takes for the future of its own request (`Kernel.IShellFuture`), fed with the messages of an
   * execution that another page or the server has started. Until its place is known, its messages wait.
   */
  class Execution {
    /**
     * @param leave - called with it when it is of no use any more
     * @param quietly - makes a change to the notebook that is no reason to save it
     */
    constructor(id, kernel, leave, quietly = change => change()) {
      this.id = id;
      this._quietly = quietly;
      this._yours = true;
      this.cell = null;
      this.count = null;
      this.over = false;
      this.isDisposed = false;
      this.overflow = false;
      this.msg = {
        channel: 'shell',
        header: { msg_id: id, msg_type: 'execute_request', session: '', username: '', date: '', version: '5.4' },
        parent_header: {},
        metadata: {},
        content: { code: '' },
        buffers: []
      };
      this._kernel = kernel;
      this._leave = leave;
      this._waiting = [];
      this._hooks = [];
      this._displays = [];
      this._queue = Promise.resolve();
      this.onIOPub = this.onReply = this.onStdin = () => undefined;
      this.done = new Promise((resolve, reject) => {
        this._resolve = resolve;
        this._reject = reject;
      });
      this.done.catch(() => undefined); // nobody has to wait for it
    }

    registerMessageHook(hook) {
      this.removeMessageHook(hook);
      this._hooks.push(hook);
    }

    removeMessageHook(hook) {
      this._hooks = this._hooks.filter(each => each !== hook);
    }

    sendInputReply(content, parent) {
      this._kernel.sendInputReply(content, parent);
    }

    /** Called by the kernel connection with each message of the execution, in their order. */
    handleMsg(message) {
      if (this._waiting === null) {
        return this._then(() => this._handle(message));
      }
      this._waiting.push(message);
      if (this._waiting.length > WAITING) {
        this._waiting = [];
        this.overflow = true;
      }
      return Promise.resolve();
    }

    /** Forget what has waited, as some of it is lost: the next answer will have it. */
    drop() {
      this._waiting = [];
      this.overflow = false;
    }

    /** Have messages wait from now on. */
    hold() {
      this._waiting ??= [];
    }

    /** How many messages wait. */
    get waiting() {
      return this._waiting?.length ?? 0;
    }

    /** Go on with what has waited: the answer says nothing of this execution. */
    resume() {
      const waiting = this._waiting ?? [];
      this._waiting = null;
      waiting.forEach(message => this.handleMsg(message));
    }

    /**
     * Take what the server says of the execution as its state at the fence, then go on with what came after it.
     *
     * @param told - the server's record of the execution
     * @param cell - where it belongs
     * @param before - how many of the messages that wait came before the fence; null where there was none, and the
     *   last message in the record tells where to go on
     * @returns when that is done
     */
    align(told, cell, before) {
      const waiting = this._waiting ?? [];
      this._waiting = null;
      if (this.cell) {
        waiting.slice(0, before ?? waiting.length).forEach(message => this.handleMsg(message));
      }
      if (!this.cell || before !== null) {
        this._then(() => this._take(told, cell));
      }
      const rest = before === null ? after(waiting, told.last_msg_id) : waiting.slice(before);
      if (!this.cell || before !== null) {
        rest.forEach(message => this.handleMsg(message));
      }
      return this._then(() => isOver(told) && this._end());
    }

    _then(step) {
      this._queue = this._queue.then(step).catch(error => console.error(error));
      return this._queue;
    }

    _take(told, cell) {
      if (this.isDisposed || cell.isDisposed) {
        return;
      }
      this.count = told.execution_count;
      this._yours = told.yours !== false;
      if (!this.cell || !sameOutputs(this.cell.outputArea.model.toJSON(), told.outputs)) {
        this._change(() => this._show(told, cell));
      }
      if (told.input_request) {
        this._askAgain(told.input_request);
      }
    }

    /** Change the notebook. Where another page saves the change, this one need not: it would find the file changed. */
    _change(change) {
      return this._yours ? change() : this._quietly(change);
    }

    _show(told, cell) {
      const { model, outputArea } = cell;
      this.cell = cell;
      this.msg.content.code = model.sharedModel.getSource();
      this.msg.metadata.cellId = model.id;
      // As the page itself does before it runs a cell: what goes can not be undone, and the cell is trusted, as all it
      // shows from now on comes from the kernel. Outputs are added after the transaction: in it, they would come back
      // from the shared model and be added again.
      model.sharedModel.transact(() => model.clearExecution(), false, 'silent-change');
      if (outputArea.future === this) {
        outputArea.model.clear();
      } else {
        outputArea.future = this; // which clears it too
      }
      this._forgetDisplays();
      told.outputs.forEach(output => this._replay(output));
      if (told.clear_next) {
        this.onIOPub(asMessage({ output_type: 'clear_output', wait: true }, this.msg));
      }
      model.trusted = true;
      if (isOver(told)) {
        model.executionCount = told.execution_count;
      } else {
        setRunning(cell, true);
      }
    }

    /** Show an output that was there before: the same way as a message would, so that later messages go on from it. */
    _replay(output) {
      this.onIOPub(asMessage(output, this.msg));
      const display = output.transient?.display_id;
      const parents = this._kernel._displayIdToParentIds;
      if (display && parents instanceof Map) {
        // The connection leads updates of a display, whoever sends them, to the requests that have shown it.
        parents.set(display, [...new Set([...(parents.get(display) ?? []), this.id])]);
        this._displays.push(display);
      }
    }

    _forgetDisplays() {
      const parents = this._kernel._displayIdToParentIds;
      for (const display of this._displays.splice(0)) {
        const others = (parents.get(display) ?? []).filter(id => id !== this.id);
        if (others.length) {
          parents.set(display, others);
        } else {
          parents.delete(display);
        }
      }
    }

    async _handle(message) {
      if (this.isDisposed) {
        return;
      }
      if (message.channel === 'stdin') {
        this._ask(message);
      } else if (message.channel === 'iopub') {
        if (await this._passes(message)) {
          await this._change(() => this.onIOPub(message));
        }
        this._note(message);
      }
    }

    async _passes(message) {
      for (const hook of [...this._hooks].reverse()) {
        if ((await hook(message)) === false) {
          return false;
        }
      }
      return true;
    }

    _note(message) {
      const { header, content, parent_header: parent } = message;
      if (parent.msg_id !== this.id) {
        return; // the update of a display, from another request
      }
      if (header.msg_type === 'execute_input') {
        this.count = content.execution_count;
      } else if (header.msg_type === 'status' && content.execution_state === 'idle') {
        this._end();
      }
    }

    /** The code waits for input: the answer may be given in this page. */
    _ask(message) {
      if (!this._inputs().length) {
        this._kernel.hasPendingInput = true;
        this.onStdin(message);
      }
    }

    _askAgain(request) {
      this._ask({
        channel: 'stdin',
        header: { ...this.msg.header, msg_id: newId(), ...request.header, msg_type: 'input_request' },
        parent_header: this.msg.header,
        metadata: {},
        content: { prompt: request.prompt ?? '', password: request.password ?? false },
        buffers: []
      });
    }

    _inputs() {
      const widgets = this.cell ? Array.from(this.cell.outputArea.widgets) : [];
      return widgets.filter(widget => widget.hasClass('jp-OutputArea-stdin-item'));
    }

    _end() {
      if (this.over || this.isDisposed || !this.cell || this.cell.isDisposed) {
        return;
      }
      this.over = true;
      this._inputs().forEach(widget => widget.dispose()); // answered in another page
      this._kernel.hasPendingInput = false;
      this._change(() => {
        setRunning(this.cell, false);
        this.cell.model.executionCount = this.count; // none for what was never begun
      });
      this._resolve({
        channel: 'shell',
        header: { ...this.msg.header, msg_type: 'execute_reply' },
        parent_header: this.msg.header,
        metadata: {},
        content: { status: 'ok', execution_count: this.count, user_expressions: {} },
        buffers: []
      });
    }

    /** Called by the output area that turns to another request or is closed, and by the connection at a restart. */
    dispose() {
      if (this.isDisposed) {
        return;
      }
      this.isDisposed = true;
      this._forgetDisplays();
      this._hooks = [];
      this._waiting = [];
      this.onIOPub = this.onReply = this.onStdin = () => undefined;
      this._leave(this);
      if (!this.over) {
        this._reject(new Error('Canceled future for execute_request message before replies were done'));
        // An output area sets its next future after this, and then the prompt is that one's.
        void Promise.resolve().then(() => this._stopped());
      }
    }

    _stopped() {
      const { cell } = this;
      if (cell && !cell.isDisposed && cell.outputArea.future === this) {
        setRunning(cell, false);
      }
    }
  }

  function setRunning(cell, on) {
    if ('executionState' in cell.model) {
      cell.model.executionState = on ? 'running' : 'idle';
    } else {
      cell.setPrompt(on ? '*' : `${cell.model.executionCount ?? ''}`); // JupyterLab 4.2 and before
    }
  }

  /** The fences that came while the server was asked, and how much of each execution and of comms was there then. */
  class Fences {
    constructor() {
      this._noted = new Map();
      this._came = () => undefined;
    }

    note(id, executions, comms) {
      const waiting = new Map([...executions.values()].map(execution => [execution, execution.waiting]));
      this._noted.set(id, { waiting, comms });
      this._came();
    }

    /** What was noted with a fence, once it has come; null if it does not within some milliseconds. */
    async wait(id, patience) {
      if (!this._noted.has(id)) {
        await new Promise(resolve => {
          const timer = setTimeout(resolve, patience);
          this._came = () => {
            if (this._noted.has(id)) {
              clearTimeout(timer);
              resolve();
            }
          };
        });
      }
      return this._noted.get(id) ?? null;
    }
  }

  // -- Widgets -------------------------------------------------------------------------------------------------------

  /** Whether an output is the view of a widget. */
  function isView(output) {
    return Boolean(output.data && 'application/vnd.jupyter.widget-view+json' in output.data);
  }

  /** Bytes of base64. */
  function decoded(text) {
    return new DataView(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
  }

  /**
   * Opens widgets that the kernel has made before this page came, as its `comm_open` would: the page's widget manager
   * asks the kernel for them, which answers when the cell that it runs is over. Widgets that it knows are left alone.
   */
  class Widgets {
    /**
     * @param areas - gives the output areas of the notebook
     */
    constructor(kernel, areas) {
      this._kernel = kernel;
      this._areas = areas;
      this._missed = null;
    }

    /** Note from now on what the kernel says to widgets that this page may not know yet. */
    hold() {
      this._missed ??= [];
    }

    /** How many of such messages there are. */
    get missed() {
      return this._missed?.length ?? 0;
    }

    /** A message that was handled. */
    handled(message) {
      if (this._missed && ['comm_msg', 'comm_close'].includes(message.header.msg_type)) {
        this._missed.push(message);
        if (this._missed.length > WAITING) {
          this._missed.shift();
        }
      }
    }

    /** Note no more. */
    drop() {
      this._missed = null;
    }

    /**
     * Open those that are not known; then they hear what came after the fence.
     *
     * @param told - the server's records of them
     * @param before - how many messages that were noted came before the fence
     * @returns when that is done
     */
    open(told, before) {
      const kernel = this._kernel;
      const comms = kernel._comms;
      if (!told?.length || !(comms instanceof Map) || typeof kernel.createComm !== 'function') {
        this.drop();
        return Promise.resolve();
      }
      const work = async () => {
        const news = told.filter(each => !comms.has(each.comm_id) && kernel._targetRegistry?.[each.target_name]);
        const opened = new Set(news.map(each => each.comm_id));
        // All at once: some refer to others that come after them.
        await inTime(Promise.all(news.map(each => this._openOne(each))), PATIENCE);
        for (const { comm_id, data } of news.filter(each => each.data.state.msg_id)) {
          await this._say(comm_id, { msg_id: data.state.msg_id });
        }
        this._showViews();
        const missed = (this._missed ?? []).slice(before);
        this.drop();
        for (const message of missed.filter(each => opened.has(each.content.comm_id))) {
          const handle = message.header.msg_type === 'comm_msg' ? kernel._handleCommMsg : kernel._handleCommClose;
          await handle?.call(kernel, message);
        }
      };
      // In the line of messages that wait to be handled: those that follow find the widgets there.
      const line = kernel._msgChain instanceof Promise ? kernel._msgChain : Promise.resolve();
      const done = line.then(work).catch(error => console.warn(`${NAME}: widgets are not shown: ${error.message}`));
      kernel._msgChain = done;
      return done;
    }

    /** A change of a widget's state, as the kernel would tell it. */
    async _say(comm_id, state) {
      const data = { method: 'update', state, buffer_paths: [] };
      await this._kernel._handleCommMsg?.(this._message('comm_msg', { comm_id, data }));
    }

    _message(msg_type, content, more = {}) {
      const header = { msg_id: newId(), msg_type, session: this._kernel._kernelSession ?? '', username: '' };
      return {
        channel: 'iopub',
        header: { ...header, date: '', version: '5.4' },
        parent_header: {},
        metadata: {},
        content,
        buffers: [],
        ...more
      };
    }

    /** Views that the page could not show yet: those in cells that ran before. They wait for the page's manager. */
    _showViews() {
      for (const area of this._areas()) {
        for (const output of area.widgets) {
          for (const view of output.widgets ?? []) {
            if (view._rerenderMimeModel && typeof view._rerender === 'function') {
              view._rerender();
            }
          }
        }
      }
    }

    async _openOne({ comm_id, target_name, metadata, data, buffers }) {
      const comm = this._kernel.createComm(target_name, comm_id);
      // An output widget begins to take a cell's outputs when it is told to, not when it is made.
      const state = 'msg_id' in data.state ? { ...data.state, msg_id: '' } : data.state;
      try {
        const content = { comm_id, target_name, data: { ...data, state } };
        const opened = this._message('comm_open', content, { metadata, buffers: buffers.map(decoded) });
        await this._kernel._targetRegistry[target_name](comm, opened);
      } catch (error) {
        comm.dispose(); // in this page alone: the kernel has it still
        console.warn(`${NAME}: a widget is not shown: ${error?.message ?? error}`);
      }
    }
  }

  /** What a promise gives; nothing if it does not within some milliseconds. */
  function inTime(promise, patience) {
    let timer;
    const late = new Promise(resolve => {
      timer = setTimeout(resolve, patience);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  // -- All executions of one kernel in one notebook ------------------------------------------------------------------

  /**
   * Follows what others run in a notebook.
   *
   * @param kernel - the notebook's kernel connection
   * @param cells - gives `{ id, source, cell }` of each code cell
   * @param ask - asks the server what runs, promises `{ executions, widgets, fence }`
   * @param quietly - makes a change to the notebook that is no reason to save it
   */
  class Follower {
    constructor(kernel, cells, ask, quietly = change => change()) {
      this._quietly = quietly;
      this.kernel = this._kernel = kernel;
      this._cells = cells;
      this._ask = ask;
      this._followed = new Map();
      this._own = new Set();
      this._ignored = new Set();
      this._settled = new Set();
      this._doubles = new Doubles();
      this._unguard = this._doubles.guard(kernel);
      this._timer = null;
      this._asking = false;
      this._askAgain = false;
      this._fresh = true;
      this._fences = null;
      this._widgets = new Widgets(kernel, () => cells().map(each => each.cell.outputArea));
      this.isDisposed = false;
      kernel.anyMessage.connect(this._received, this);
      kernel.iopubMessage.connect(this._handled, this);
      kernel.connectionStatusChanged.connect(this._connection, this);
      kernel.statusChanged.connect(this._stayBusy, this);
      this.sync();
    }

    dispose() {
      if (this.isDisposed) {
        return;
      }
      this.isDisposed = true;
      clearTimeout(this._timer);
      this._unguard();
      this._kernel.anyMessage.disconnect(this._received, this);
      this._kernel.iopubMessage.disconnect(this._handled, this);
      this._kernel.connectionStatusChanged.disconnect(this._connection, this);
      this._kernel.statusChanged.disconnect(this._stayBusy, this);
      [...this._followed.values()].forEach(execution => execution.dispose());
    }

    /** Ask the server soon what runs. */
    sync(delay = GATHER) {
      if (this._timer === null && !this.isDisposed) {
        this._timer = setTimeout(() => {
          this._timer = null;
          void this._align();
        }, delay);
      }
    }

    _connection(_, status) {
      if (status === 'connected') {
        this._doubles.reconnected();
        this._fresh = true;
        this.sync();
      }
    }

    /**
     * A page takes a kernel for idle after anything that it has done beside the cell that runs, a debugger's question
     * when a notebook is opened above all. While we know better, it stays busy.
     */
    _stayBusy() {
      const runs = [...this._followed.values()].some(execution => execution.cell && !execution.over);
      if (runs && this._kernel.status === 'idle' && typeof this._kernel._updateStatus === 'function') {
        this._kernel._updateStatus('busy');
      }
    }

    /** Each message as it comes, before it is handled; and each that is sent. */
    _received(_, { msg: message, direction }) {
      if (direction === 'send') {
        if (message.header.msg_type === 'execute_request') {
          bounded(this._own, message.header.msg_id);
        }
        return;
      }
      if (this._doubles.note(message)) {
        return;
      }
      const parent = message.parent_header;
      const mine = parent.session === this._kernel.clientId || this._own.has(parent.msg_id);
      if (parent.msg_type !== 'execute_request' || mine || this._ignored.has(parent.msg_id)) {
        return;
      }
      if (!this._followed.has(parent.msg_id)) {
        this._expect(parent.msg_id);
        this.sync();
      }
    }

    /** Have the messages of an execution wait until the server has told where it belongs. */
    _expect(id) {
      const leave = left => {
        this._followed.delete(left.id);
        bounded(this._ignored, left.id);
        if (this._futures.get(left.id) === left) {
          this._futures.delete(left.id);
        }
      };
      const execution = new Execution(id, this._kernel, leave, this._quietly);
      this._followed.set(id, execution);
      this._futures.set(id, execution);
      return execution;
    }

    /** Where the connection looks for who waits for a message. */
    get _futures() {
      const futures = this._kernel._futures;
      return futures instanceof Map ? futures : new Map();
    }

    /** Each iopub message after it was handled. */
    _handled(_, message) {
      const id = message.parent_header.msg_id;
      const followed = this._followed.get(id);
      if (followed && !this._futures.has(id)) {
        void followed.handleMsg(message); // a connection whose inside is not as we know it
      }
      if (followed?.overflow) {
        this.sync();
      }
      this._widgets.handled(message);
      if (message.header.msg_type === 'status') {
        this._fences?.note(message.header.msg_id, this._followed, this._widgets.missed);
      }
    }

    async _align() {
      if (this._asking) {
        this._askAgain = true;
        return;
      }
      if (this.isDisposed || this._kernel.connectionStatus !== 'connected') {
        return; // asked when it is
      }
      this._asking = true;
      const about = new Set(this._followed.keys());
      try {
        const { executions, widgets, fence } = await this._answer();
        if (!this.isDisposed) {
          this._expectRunning(executions, widgets); // widgets may be about to take their outputs
          await inTime(this._widgets.open(widgets, fence?.comms ?? 0), PATIENCE);
          this._apply(executions, fence?.waiting ?? null, about);
        }
      } catch (error) {
        this._unanswered(error);
      } finally {
        this._asking = false;
        this._widgets.drop();
        if (this._askAgain) {
          this._askAgain = false;
          this.sync();
        }
      }
    }

    /** The server's records, and how many messages came before its fence; null without one. */
    async _answer() {
      this._fences = new Fences();
      this._followed.forEach(execution => execution.hold());
      this._widgets.hold();
      try {
        const { executions, widgets, fence } = await this._ask();
        return { executions, widgets, fence: fence ? await this._fences.wait(fence, PATIENCE) : null };
      } finally {
        this._fences = null;
      }
    }

    /** Cells that are followed go on; for those whose place is not known it is asked again. */
    _unanswered(error) {
      console.warn(`${NAME}: what the kernel runs is not known: ${error.message}`);
      let open = false;
      for (const execution of this._followed.values()) {
        if (execution.cell) {
          execution.resume();
        } else {
          open = true;
        }
      }
      if (open) {
        this.sync(PATIENCE);
      }
    }

    /** Executions that have a place in this notebook, the newest of each cell, by id. */
    _listed(executions) {
      const cells = this._cells();
      const newest = new Map(); // of each cell
      for (const told of executions) {
        const place = placeOf(told, cells);
        if (place) {
          newest.set(place.id, { told, cell: place.cell });
        }
      }
      return new Map([...newest.values()].map(each => [each.told.msg_id, each]));
    }

    _expectRunning(executions, widgets) {
      for (const [id, { told, cell }] of this._listed(executions)) {
        if (!isOver(told) && !this._followed.has(id) && !this._own.has(id) && !this._ignored.has(id)) {
          this._expect(id);
          if (widgets?.length && cell.outputArea.model.toJSON().some(isView)) {
            // They are shown anew, and widgets do not like to be taken away while they are drawn.
            this._quietly(() => cell.outputArea.model.clear());
          }
        }
      }
    }

    /**
     * @param before - how many waiting messages of each execution came before the fence; null without a fence
     * @param about - the executions that were known when it was asked: the answer has all of them that belong here
     */
    _apply(executions, before, about) {
      if (this.isDisposed) {
        return;
      }
      const listed = this._listed(executions);
      for (const { told, cell } of listed.values()) {
        this._applyOne(told, cell, before);
      }
      for (const execution of [...this._followed.values()]) {
        if (listed.has(execution.id)) {
          continue;
        }
        if (execution.cell) {
          execution.resume();
        } else if (about.has(execution.id)) {
          execution.dispose(); // it has no place in this notebook
        }
      }
      this._fresh = false;
    }

    _applyOne(told, cell, before) {
      const id = told.msg_id;
      const known = this._followed.get(id);
      if (known?.over || (known?.cell && !this._fresh && !known.overflow)) {
        known.resume(); // it has missed nothing
        return;
      }
      if (this._own.has(id) || (!known && isOver(told) && !this._isNews(told, cell))) {
        return;
      }
      if (!known && !isOver(told) && this._ignored.has(id)) {
        return; // the cell has turned to something else
      }
      const execution = known ?? this._expect(id);
      if (isOver(told)) {
        bounded(this._settled, id);
      }
      if (execution.overflow) {
        execution.drop();
        this.sync();
        return;
      }
      const aligned = execution.align(told, known?.cell ?? cell, before && (before.get(execution) ?? 0));
      void aligned.then(() => this._stayBusy());
    }

    /** Whether the end of an execution has to be shown: it came between the opening of the file and the answer. */
    _isNews(told, cell) {
      if (!this._fresh || told.saved || this._settled.has(told.msg_id)) {
        return false;
      }
      bounded(this._settled, told.msg_id);
      const { model, outputArea } = cell;
      return model.executionCount !== told.execution_count || !sameOutputs(outputArea.model.toJSON(), told.outputs);
    }
  }

  /** Add to a set that remembers a bounded number of ids. */
  function bounded(set, id) {
    set.add(id);
    if (set.size > REMEMBERED) {
      set.delete(set.values().next().value);
    }
  }

  // -- Plugins -------------------------------------------------------------------------------------------------------

  /** Asks the server, with the page's credentials. */
  class Server {
    /**
     * @param services - the module `@jupyterlab/services`
     * @param settings - `ServerConnection.ISettings`
     */
    constructor(services, settings) {
      this._connection = services.ServerConnection;
      this._settings = settings;
    }

    /**
     * The decoded answer.
     *
     * @param parts - the path below the base URL, in pieces that are not encoded yet
     */
    async ask(method, parts, { query, body } = {}) {
      const path = parts.map(part => part.split('/').map(encodeURIComponent).join('/')).join('/');
      const url = `${this._settings.baseUrl}${path}${query ? `?${new URLSearchParams(query)}` : ''}`;
      const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
      const answer = await this._connection.makeRequest(url, init, this._settings);
      const text = await answer.text();
      const value = text ? JSON.parse(text) : null;
      if (!answer.ok) {
        throw new Error(value?.message ?? `${answer.status} ${answer.statusText}`);
      }
      return value;
    }
  }

  /** The cells of a notebook's panel that can be run. */
  function codeCells(panel) {
    return panel.content.widgets
      .filter(cell => cell.model.type === 'code')
      .map(cell => ({ id: cell.model.id, source: cell.model.sharedModel.getSource(), cell }));
  }

  /** Follows the kernel of one open file, in whatever views it is shown; the first of them is written to. */
  class OpenNotebook {
    constructor(context, server) {
      this._context = context;
      this._server = server;
      this._panels = [];
      this._follower = null;
    }

    async add(panel) {
      this._panels.push(panel);
      panel.disposed.connect(() => this._remove(panel));
      if (this._panels.length === 1) {
        const { sessionContext } = this._context;
        sessionContext.kernelChanged.connect((_, { newValue }) => this._follow(newValue));
        await this._context.ready;
        this._follow(sessionContext.session?.kernel);
      }
    }

    _remove(panel) {
      this._panels = this._panels.filter(each => each !== panel);
      if (this._panels.length) {
        this._follower?.sync();
      } else {
        this._follow(null);
      }
    }

    _follow(kernel) {
      if (!this._context.isReady || (kernel && kernel === this._follower?.kernel)) {
        return;
      }
      this._follower?.dispose();
      this._follower = kernel && this._panels.length ? this._followerOf(kernel) : null;
    }

    _followerOf(kernel) {
      const ask = () =>
        this._server.ask('GET', ['api/kernels', kernel.id, 'executions'], {
          query: { path: this._context.localPath, client: kernel.clientId }
        });
      return new Follower(kernel, () => codeCells(this._panels[0]), ask, change => this._quietly(change));
    }

    _quietly(change) {
      const { model } = this._context;
      const { dirty } = model;
      const done = change();
      model.dirty = dirty;
      return done;
    }
  }

  /** `jupyterd:outputs` */
  function outputsPlugin({ notebook, services }) {
    return {
      id: `${NAME}:outputs`,
      description: 'Shows what runs in a notebook although another page or the server has started it.',
      autoStart: true,
      requires: [notebook.INotebookTracker],
      activate: (app, tracker) => {
        const server = new Server(services, app.serviceManager.serverSettings);
        const open = new WeakMap();
        const watch = panel => {
          const { context } = panel;
          if (!open.has(context)) {
            open.set(context, new OpenNotebook(context, server));
          }
          open.get(context).add(panel).catch(() => undefined); // a file that can not be opened: the page says so
        };
        tracker.widgetAdded.connect((_, panel) => watch(panel));
        tracker.forEach(watch);
      }
    };
  }

  /** Milliseconds between two looks at a run. */
  const LOOK = 1000;

  /** So many looks may fail one after the other, while the server restarts say, before the page gives up. */
  const LOOKS = 30;

  /** What a run is described as, for a notification: `{ type, message, progress }`. */
  function described(run) {
    const cells = run.total === 1 ? '1 cell' : `${run.total} cells`;
    if (run.state === 'ok') {
      return { type: 'success', message: `${run.path}: ${cells} run on the server`, progress: 1 };
    }
    if (run.state === 'error') {
      const { ename, evalue, index } = run.error ?? {};
      const where = Number.isInteger(index) ? `cell ${index + 1}` : 'its begin';
      const why = [ename, evalue].filter(Boolean).join(': ') || 'it failed';
      return { type: 'error', message: `${run.path}: the run on the server ended at ${where}. ${why}` };
    }
    if (run.state === 'cancelled') {
      return { type: 'info', message: `${run.path}: the run on the server was stopped` };
    }
    const waits = run.state === 'queued' ? ', waits for another run' : '';
    const message = `${run.path}: ${run.done} of ${cells} run on the server${waits}`;
    return { type: 'in-progress', message, progress: run.total ? run.done / run.total : 0 };
  }

  /** Shows how runs on the server go, whoever has started them. */
  class RunsShown {
    constructor(server, notification, wait = LOOK) {
      this._server = server;
      this._notification = notification;
      this._wait = wait;
      this._shown = new Set();
    }

    /** Show a run until it is over. */
    async show(run) {
      if (this._shown.has(run.id)) {
        return;
      }
      this._shown.add(run.id);
      const where = ['api/contents', run.path, 'runs', run.id];
      const stop = { label: 'Stop', caption: 'Stop the run on the server', callback: event => this._stop(where, event) };
      const { type, message, progress } = described(run);
      const id = this._notification.emit(message, type, { autoClose: false, progress, actions: [stop] });
      const last = await this._follow(id, where);
      const told = last
        ? described(last)
        : { type: 'warning', message: `${run.path}: how the run on the server goes on is not known` };
      const autoClose = told.type === 'error' || told.type === 'warning' ? false : 5000;
      this._notification.update({ id, autoClose, actions: [], ...told });
      this._shown.delete(run.id);
    }

    /** How the run ended; null if the server does not tell any more. */
    async _follow(id, where) {
      let failed = 0;
      while (failed < LOOKS) {
        await new Promise(resolve => setTimeout(resolve, this._wait));
        try {
          const run = await this._server.ask('GET', where);
          failed = 0;
          if (run.ended) {
            return run;
          }
          const { message, progress } = described(run);
          this._notification.update({ id, message, progress });
        } catch {
          failed += 1;
        }
      }
      return null;
    }

    async _stop(where, event) {
      event?.preventDefault?.(); // the notification stays until the run is over
      try {
        await this._server.ask('DELETE', where);
      } catch (error) {
        this._notification.error(`The run could not be stopped: ${error.message}`, { autoClose: false });
      }
    }

    /** Show the runs of a notebook that are under way. */
    async showAll(path) {
      const runs = await this._server.ask('GET', ['api/contents', path, 'runs']);
      runs.filter(run => !run.ended).forEach(run => void this.show(run));
    }
  }

  /** Have the server run cells of a notebook: all of them, or those from a position on. */
  async function runOnServer(panel, server, from) {
    const { context, sessionContext } = panel;
    await sessionContext.ready; // else page and server start a kernel each
    if (context.model.dirty) {
      await context.save(); // the server runs what is in the file
    }
    if (context.model.dirty) {
      return null; // not saved, and the page has said why
    }
    if (sessionContext.hasNoKernel) {
      await sessionContext.startKernel(); // else the server starts one that this page does not know of
    }
    const body = { idempotency_key: newId(), ...(from === undefined ? {} : { from }) };
    return server.ask('POST', ['api/contents', context.localPath, 'run'], { body });
  }

  /** `jupyterd:run` */
  function runPlugin({ notebook, services, apputils, mainmenu }) {
    const commands = {
      'run-all': { label: 'Run All Cells on the Server', from: () => undefined },
      'run-from-here': { label: 'Run Selected Cell and All Below on the Server', from: panel => panel.content.activeCellIndex }
    };
    return {
      id: `${NAME}:run`,
      description: 'Runs notebooks on the server: the cells go on whatever happens to the page.',
      autoStart: true,
      requires: [notebook.INotebookTracker],
      optional: [apputils.ICommandPalette, mainmenu?.IMainMenu].filter(Boolean),
      activate: (app, tracker, palette, menu) => {
        const { contents, serverSettings } = app.serviceManager;
        const server = new Server(services, serverSettings);
        const shown = new RunsShown(server, apputils.Notification);
        const isOurs = panel => ['', 'RTC'].includes(contents.driveName(panel.context.path));
        const start = async from => {
          try {
            const panel = tracker.currentWidget;
            const run = await runOnServer(panel, server, from(panel));
            if (run) {
              void shown.show(run);
            }
          } catch (error) {
            apputils.Notification.error(`The notebook is not run: ${error.message}`, { autoClose: false });
          }
        };
        for (const [name, { label, from }] of Object.entries(commands)) {
          const command = `${NAME}:${name}`;
          app.commands.addCommand(command, {
            label,
            caption: 'The cells go on and their outputs are kept, whatever happens to this page',
            isEnabled: () => tracker.currentWidget !== null && isOurs(tracker.currentWidget),
            execute: () => start(from)
          });
          palette?.addItem({ command, category: 'Notebook Operations' });
        }
        menu?.runMenu.addGroup(Object.keys(commands).map(name => ({ command: `${NAME}:${name}` })), 20);
        const showRuns = async panel => {
          await panel.context.ready;
          if (isOurs(panel)) {
            await shown.showAll(panel.context.localPath);
          }
        };
        // A page that can not tell of runs says so when one is started.
        const watch = panel => void showRuns(panel).catch(() => undefined);
        tracker.widgetAdded.connect((_, panel) => watch(panel));
        tracker.forEach(watch);
      }
    };
  }

  /** The schema of the events by which the server tells how far something is. */
  const PROGRESS = 'https://events.jupyter.org/jupyterd/progress/v1';

  /** What is told of a task, for a notification; null for what the page shows itself (uploads), and for what is over. */
  function taskShown(event) {
    const verb = { convert: 'Converting', copy: 'Copying', start: 'Starting' }[event.kind];
    if (!verb) {
      return null;
    }
    const files = event.unit === 'files' ? `, ${event.done} files` : '';
    const message = `${verb} ${event.name}${files}`;
    if (event.state === 'failed') {
      return { type: 'error', message: `${message}: it failed` };
    }
    const progress = event.total ? Math.min(event.done / event.total, 1) : undefined;
    return { type: 'in-progress', message, ...(progress === undefined ? {} : { progress }) };
  }

  /** Shows tasks as notifications, each until it is over. */
  class TasksShown {
    constructor(notification) {
      this._notification = notification;
      this._shown = new Map();
    }

    /** An event of the server. */
    heard(event) {
      const shown = event.schema_id === PROGRESS ? taskShown(event) : null;
      if (!shown) {
        return;
      }
      const id = this._shown.get(event.id);
      if (event.state === 'done') {
        this._shown.delete(event.id);
        if (id !== undefined) {
          this._notification.dismiss(id);
        }
        return;
      }
      const { type, message, progress } = shown;
      if (id === undefined) {
        this._shown.set(event.id, this._notification.emit(message, type, { autoClose: false, progress }));
      } else {
        this._notification.update({ id, message, type, progress });
      }
      if (event.state === 'failed') {
        this._shown.delete(event.id);
      }
    }
  }

  /** `jupyterd:progress` */
  function progressPlugin({ apputils }) {
    return {
      id: `${NAME}:progress`,
      description: 'Shows what takes a while on the server.',
      autoStart: true,
      activate: app => {
        const tasks = new TasksShown(apputils.Notification);
        app.serviceManager.events?.stream.connect((_, event) => tasks.heard(event));
      }
    };
  }

  /** `jupyterd:dashboard` */
  function dashboardPlugin({ coreutils, apputils, mainmenu, launcher, 'ui-components': ui }) {
    return {
      id: `${NAME}:dashboard`,
      description: 'The way to the dashboard of the server.',
      autoStart: true,
      optional: [apputils.ICommandPalette, mainmenu?.IMainMenu, launcher?.ILauncher].filter(Boolean),
      activate: (app, ...found) => {
        const url = coreutils.PageConfig.getOption('jupyterdDashboard');
        if (!url) {
          return; // this server has none
        }
        const command = `${NAME}:dashboard`;
        app.commands.addCommand(command, {
          label: 'Server Dashboard',
          caption: 'What this server does: kernels, sessions, terminals, runs',
          icon: ui?.listIcon,
          execute: () => void window.open(url, '_blank', 'noopener')
        });
        const tokens = [apputils.ICommandPalette, mainmenu?.IMainMenu, launcher?.ILauncher].filter(Boolean);
        const given = token => (token ? found[tokens.indexOf(token)] : null);
        given(apputils.ICommandPalette)?.addItem({ command, category: 'Help' });
        given(mainmenu?.IMainMenu)?.helpMenu.addGroup([{ command }], 40);
        given(launcher?.ILauncher)?.add({ command, category: 'Other', rank: 100 });
      }
    };
  }

  // -- The container -------------------------------------------------------------------------------------------------

  let scope = {};

  /** A module that the page has; null where it has none of that name. */
  async function shared(name) {
    const versions = scope[name];
    return versions ? (await versions[usedVersion(versions)].get())() : null;
  }

  async function extension() {
    const names = ['notebook', 'services', 'apputils', 'mainmenu', 'launcher', 'coreutils', 'ui-components'];
    const found = await Promise.all(names.map(name => shared(`@jupyterlab/${name}`)));
    const modules = Object.fromEntries(names.map((name, i) => [name, found[i]]));
    const { notebook, services, apputils, coreutils } = modules;
    if (!notebook || !services || !apputils || !coreutils) {
      return { __esModule: true, default: [] }; // no page of notebooks
    }
    return { __esModule: true, default: [outputsPlugin, runPlugin, progressPlugin, dashboardPlugin].map(made => made(modules)) };
  }

  const parts = {
    Doubles,
    Execution,
    Follower,
    Fences,
    RunsShown,
    TasksShown,
    after,
    asMessage,
    byVersion,
    described,
    placeOf,
    runOnServer,
    sameOutputs,
    sha256,
    usedVersion,
    whole
  };

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB[NAME] = {
    init: given => {
      scope = given;
    },
    get: async module => {
      const made = module === './extension' ? await extension() : parts;
      return () => made;
    }
  };
})();
