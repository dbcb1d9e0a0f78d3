// A kernel connection, a cell and a server in memory, as far as the plugin knows them; and the plugin, loaded as a page
// loads it.

import { readFileSync } from 'node:fs';

const FILE = new URL('../../jupyterd/frontends/plugin/plugin.js', import.meta.url);

/** The container that the script leaves in a page. */
export function container(warnings = []) {
  const window = {};
  const heard = {
    warn: text => warnings.push(text),
    error: error => {
      throw error;
    }
  };
  new Function('window', 'console', readFileSync(FILE, 'utf8'))(window, heard);
  return window._JUPYTERLAB.jupyterd;
}

export async function parts(warnings) {
  return (await container(warnings).get('./parts'))();
}

export class Signal {
  constructor(sender) {
    this.sender = sender;
    this.slots = [];
  }
  connect(slot, self) {
    this.slots.push([slot, self]);
  }
  disconnect(slot, self) {
    this.slots = this.slots.filter(([a, b]) => a !== slot || b !== self);
  }
  emit(args) {
    [...this.slots].forEach(([slot, self]) => slot.call(self, this.sender, args));
  }
}

let ids = 0;

/** A message of a kernel; `parent` is the header of the request. */
export function message(msg_type, content, parent = {}, channel = 'iopub') {
  const header = { msg_id: `m${++ids}`, msg_type, session: 'kernel' };
  return { channel, header, parent_header: parent, metadata: {}, content, buffers: [] };
}

/** The header of an execute_request of another page. */
export function request(msg_id, session = 'another') {
  return { msg_id, msg_type: 'execute_request', session };
}

export class Kernel {
  constructor() {
    this.clientId = 'page';
    this.connectionStatus = 'connected';
    this.status = 'busy';
    this.hasPendingInput = false;
    this.replies = [];
    this._futures = new Map();
    this._displayIdToParentIds = new Map();
    this._msgChain = Promise.resolve();
    this._comms = new Map();
    this._targetRegistry = {};
    for (const name of ['anyMessage', 'iopubMessage', 'connectionStatusChanged', 'statusChanged']) {
      this[name] = new Signal(this);
    }
  }
  receive(msg) {
    this._msgChain = this._msgChain.then(() => this._handleMessage(msg));
    this.anyMessage.emit({ msg, direction: 'recv' });
    return this._msgChain;
  }
  async _handleMessage(msg) {
    await this._futures.get(msg.parent_header.msg_id)?.handleMsg(msg);
    if (msg.channel === 'iopub') {
      if (msg.header.msg_type === 'status') {
        this._updateStatus(msg.content.execution_state);
      } else if (msg.header.msg_type === 'comm_msg') {
        await this._handleCommMsg(msg);
      } else if (msg.header.msg_type === 'comm_close') {
        await this._handleCommClose(msg);
      }
      this.iopubMessage.emit(msg);
    }
  }
  createComm(target, id) {
    if (this._comms.has(id)) {
      throw new Error('Comm is already created');
    }
    const comm = { id, target, dispose: () => this._comms.delete(id) };
    this._comms.set(id, comm);
    return comm;
  }
  async _handleCommMsg(msg) {
    await this._comms.get(msg.content.comm_id)?.onMsg?.(msg);
  }
  async _handleCommClose(msg) {
    this._comms.get(msg.content.comm_id)?.dispose();
  }
  _updateStatus(status) {
    if (status !== this.status) {
      this.status = status;
      this.statusChanged.emit(status);
    }
  }
  connection(status) {
    this.connectionStatus = status;
    this.connectionStatusChanged.emit(status);
  }
  sendInputReply(content, parent) {
    this.replies.push([content, parent]);
  }
}

class Outputs {
  constructor() {
    this.list = [];
    this.clearNext = false;
  }
  add(output) {
    if (this.clearNext) {
      this.clear();
    }
    const last = this.list[this.list.length - 1];
    if (output.output_type === 'stream' && last?.output_type === 'stream' && last.name === output.name) {
      last.text += output.text;
    } else {
      const { transient, ...kept } = output;
      this.list.push(kept);
    }
  }
  clear(wait = false) {
    this.clearNext = wait;
    if (!wait) {
      this.list = [];
    }
  }
  toJSON() {
    return this.list.map(output => ({ ...output }));
  }
}

class Area {
  constructor() {
    this.model = new Outputs();
    this.widgets = [];
  }
  get future() {
    return this._future;
  }
  set future(future) {
    if (this._future === future) {
      return;
    }
    this._future?.dispose();
    this._future = future;
    this.model.clear();
    this.widgets = [];
    future.onIOPub = ({ header, content }) => {
      if (['stream', 'display_data', 'execute_result', 'error'].includes(header.msg_type)) {
        this.model.add({ output_type: header.msg_type, ...content });
      } else if (header.msg_type === 'clear_output') {
        this.model.clear(content.wait);
      }
    };
    future.onStdin = ({ header, content }) => {
      const widget = { prompt: content.prompt, header, hasClass: name => name === 'jp-OutputArea-stdin-item' };
      widget.dispose = () => this.widgets.splice(this.widgets.indexOf(widget), 1);
      this.widgets.push(widget);
    };
  }
}

/** A code cell of a notebook, as a place for executions. */
export function cell(id, source) {
  const outputArea = new Area();
  const model = {
    id,
    type: 'code',
    executionState: 'idle',
    trusted: false,
    outputs: outputArea.model,
    sharedModel: { getSource: () => source, transact: step => step() },
    clearExecution() {
      outputArea.model.clear();
      this.executionCount = null;
      this.trusted = true;
    }
  };
  let count = null;
  Object.defineProperty(model, 'executionCount', {
    get: () => count,
    set: value => {
      count = value;
      model.executionState = value === null ? model.executionState : 'idle';
    }
  });
  return { id, source, cell: { model, outputArea, isDisposed: false } };
}

/** What the server tells of an execution. */
export function record(msg_id, cell_id, more = {}) {
  return {
    msg_id,
    cell_id,
    state: 'running',
    execution_count: null,
    source_sha256: '',
    outputs: [],
    clear_next: false,
    idle: false,
    ended: null,
    last_msg_id: null,
    input_request: null,
    saved: false,
    yours: true,
    ...more
  };
}

export const text = place =>
  place.cell.outputArea.model
    .toJSON()
    .filter(output => output.output_type === 'stream')
    .map(output => output.text)
    .join('');

export const after = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

export async function until(condition) {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 20000) {
      throw new Error(`not in time: ${condition}`);
    }
    await after(5);
  }
}
