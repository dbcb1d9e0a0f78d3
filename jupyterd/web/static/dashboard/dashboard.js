/* Dashboard of a running jupyterd: asks /api/jupyterd/status every two seconds while the page is seen, and shows it. */
"use strict";

const base = document.body.dataset.baseUrl;
const frontEnd = document.body.dataset.frontEnd;
const EVERY = 2000; // milliseconds between two looks; the server makes an account no more often than that
const KEPT = 90; // points of a sparkline: three minutes
const LINES = 300; // lines of the log that are kept on the page
const history = new Map(); // kernel id -> {cpu: [], memory: [], rate: []}
let lastLine = 0;
let onlyKernel = "";

const at = (id) => document.getElementById(id);

/* An element with attributes and children; text is never parsed as HTML. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function bytes(count) {
  if (count === null || count === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; count >= 1000 && unit < units.length - 1; unit += 1) count /= 1000;
  return `${count < 10 && unit ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

function span(seconds) {
  const steps = [[86400, "d"], [3600, "h"], [60, "min"]];
  for (const [size, unit] of steps) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.floor(seconds)} s`;
}

function ago(iso) {
  return span(Math.max(0, (Date.now() - Date.parse(iso)) / 1000));
}

function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

async function ask(method, path) {
  const headers = method === "GET" ? {} : { "X-XSRFToken": cookie("_xsrf") };
  const answer = await fetch(`${base}${path}`, { method, headers, credentials: "same-origin" });
  if (answer.status === 403 || answer.status === 401) throw new Error("You are not logged in, or may not do this.");
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).message || answer.statusText);
  return answer.status === 204 ? null : answer.json();
}

/* Ask before what can not be undone. */
function sure(text, word) {
  const dialog = at("sure");
  at("sure-text").textContent = text;
  at("sure-yes").textContent = word;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

async function act(kernel, method, path) {
  try {
    await ask(method, `api/kernels/${encodeURIComponent(kernel.id)}${path}`);
  } catch (error) {
    at("about").textContent = `${title(kernel)}: ${error.message}`;
  }
  await look();
}

const title = (kernel) => kernel.paths[0] || `${kernel.name} ${kernel.id.slice(0, 8)}`;

function figure(label, values, shown) {
  const most = Math.max(...values, 0.000001);
  const first = KEPT - values.length; // the newest stands at the right
  const points = values.map((value, x) => `${first + x},${30 - (28 * value) / most}`).join(" ");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${KEPT - 1} 31`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points);
  svg.append(line);
  return make("figure", {}, svg, make("figcaption", {}, `${label} ${shown}`));
}

function remember(kernel) {
  if (!history.has(kernel.id)) history.set(kernel.id, { cpu: [], memory: [], rate: [] });
  const kept = history.get(kernel.id);
  for (const name of ["cpu", "memory", "rate"]) {
    kept[name].push(kernel[name] || 0);
    if (kept[name].length > KEPT) kept[name].shift();
  }
  return kept;
}

function buttons(kernel) {
  const name = title(kernel);
  const row = make("div", { class: "buttons" });
  if (frontEnd && kernel.paths[0]) {
    const target = `${base}${frontEnd}${kernel.paths[0].split("/").map(encodeURIComponent).join("/")}`;
    row.append(make("a", { href: target, "aria-label": `Open ${name}` }, "Open"));
  }
  const button = (word, onclick, kind = "") =>
    row.append(make("button", { type: "button", class: kind, "aria-label": `${word} ${name}`, onclick, "data-action": word }, word));
  button("Interrupt", () => act(kernel, "POST", "/interrupt"));
  button("Restart", async () => {
    if (await sure(`Restart the kernel of ${name}? Its variables are lost.`, "Restart")) await act(kernel, "POST", "/restart");
  });
  button("Log", () => follow(kernel));
  button("Shut down", async () => {
    if (await sure(`Shut down the kernel of ${name}? Its variables are lost.`, "Shut down")) await act(kernel, "DELETE", "");
  }, "danger");
  return row;
}

function card(kernel) {
  const kept = remember(kernel);
  const behind = Math.max(0, ...kernel.behind);
  const tabs = `${kernel.connections} ${kernel.connections === 1 ? "tab" : "tabs"}`;
  const state = make("span", { class: `state ${kernel.execution_state}` }, kernel.execution_state);
  const facts = [`${kernel.name}, ${tabs}`, `${kernel.execution_state} for ${ago(kernel.since)}`, `used ${ago(kernel.last_activity)} ago`, `log ${bytes(kernel.log_memory)}`];
  if (kernel.log_disk) facts.push(`${bytes(kernel.log_disk)} on disk`);
  if (behind) facts.push(`slowest tab ${behind} messages, ${bytes(kernel.behind_bytes)} behind`);
  const element = make("article", { class: "card", "data-kernel": kernel.id },
    make("h3", {}, title(kernel), " ", state), make("p", {}, facts.join(" · ")),
    make("div", { class: "lines" },
      figure("CPU", kept.cpu, kernel.cpu === null ? "–" : `${kernel.cpu} %`),
      figure("memory", kept.memory, bytes(kernel.memory)),
      figure("messages", kept.rate, `${kernel.rate}/s`)));
  if (kernel.reason) {
    const when = kernel.died ? `Died ${ago(kernel.died)} ago: ` : "";
    element.append(make("p", { class: "reason" }, `${when}${kernel.reason}`));
  }
  element.append(buttons(kernel));
  return element;
}

/* Put new children in place of the old, and the focus back where it was. */
function replace(parent, children) {
  const focused = document.activeElement && parent.contains(document.activeElement) ? document.activeElement : null;
  const label = focused && focused.getAttribute("aria-label");
  parent.replaceChildren(...children);
  if (label) [...parent.querySelectorAll("[aria-label]")].find((one) => one.getAttribute("aria-label") === label)?.focus();
}

function showServer(account) {
  const busy = account.threads.reduce((sum, pool) => sum + pool.busy, 0);
  const waiting = account.threads.reduce((sum, pool) => sum + pool.waiting, 0);
  const rows = [
    ["CPU", `${account.cpu} %`], ["Memory", bytes(account.memory)], ["Up for", span(account.uptime)],
    ["Started in", `${account.start_seconds.toFixed(1)} s`],
    ["Kernels", account.kernels.length], ["Terminals", account.terminals.length], ["Descriptors", account.descriptors],
    ["Worst turn of the reactor", `${Math.round(1000 * account.reactor.worst)} ms`], ["Stalls", account.reactor.stalls],
    ["Threads busy", waiting ? `${busy}, ${waiting} wait` : busy],
  ];
  rows.push(["Logs on disk", bytes(account.stores.spill)], ["Versions of notebooks", bytes(account.stores.versions)]);
  const host = account.extension_host;
  if (host) rows.push(["Extensions", host.state === "ready" ? bytes(host.memory) : host.state]);
  at("server").replaceChildren(...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value)))));
  at("about").textContent = `${account.version.jupyterd}, serving ${account.root_dir}`;
}

const VERBS = { convert: "Converting", upload: "Uploading", copy: "Copying", start: "Starting" };

/* What takes a while: a bar, full as far as that is known. */
function task(one) {
  const amount = (count) => (one.unit === "bytes" ? bytes(count) : `${count} ${one.unit}`);
  const facts = [span(one.seconds)];
  if (one.unit) facts.unshift(one.total === null ? amount(one.done) : `${amount(one.done)} of ${amount(one.total)}`);
  const words = `${VERBS[one.kind] || one.kind} ${one.name}`;
  const bar = make("progress", one.total ? { max: one.total, value: one.done, "aria-label": words } : { "aria-label": words });
  return make("li", { "data-task": one.kind }, `${words} `, bar, ` ${facts.join(", ")}`);
}

function show(account) {
  showServer(account);
  const tasks = account.tasks || [];
  at("tasks-section").hidden = !tasks.length;
  at("tasks").replaceChildren(...tasks.map(task));
  const ids = new Set(account.kernels.map((kernel) => kernel.id));
  for (const id of history.keys()) if (!ids.has(id)) history.delete(id);
  replace(at("kernels"), account.kernels.map(card));
  at("no-kernels").hidden = account.kernels.length > 0;
  const people = account.people.map((one) => make("li", {}, `${one.name}: ${one.tabs} ${one.tabs === 1 ? "tab" : "tabs"}`));
  at("people").replaceChildren(...(people.length ? people : [make("li", { class: "quiet" }, "Nobody has a tab on a kernel.")]));
  at("terminals").replaceChildren(...account.terminals.map((one) =>
    make("li", {}, make("a", { href: `${base}terminals/${encodeURIComponent(one.name)}` }, `Terminal ${one.name}`), `, used ${ago(one.last_activity)} ago`)));
  at("requests").replaceChildren(...account.requests.map((row) =>
    make("tr", {}, make("td", {}, row.route), make("td", {}, String(row.count)), make("td", {}, `${((1000 * row.seconds) / row.count).toFixed(1)} ms`))));
}

async function readLog() {
  const { lines } = await ask("GET", `api/jupyterd/log?after=${lastLine}&kernel_id=${encodeURIComponent(onlyKernel)}`);
  const log = at("log");
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
  for (const line of lines) {
    const when = new Date(1000 * line.time).toLocaleTimeString();
    log.append(make("li", { class: line.level }, `${when} ${line.text}`));
    lastLine = line.number;
  }
  while (log.children.length > LINES) log.firstChild.remove();
  if (atEnd && lines.length) log.scrollTop = log.scrollHeight;
}

async function startLog(id, shown) {
  onlyKernel = id;
  lastLine = 0;
  at("log").replaceChildren();
  at("log-filter").hidden = !id;
  at("log-kernel").textContent = shown;
  await readLog();
}

async function follow(kernel) {
  await startLog(kernel.id, title(kernel));
  at("log").focus();
}

async function look() {
  try {
    show(await ask("GET", "api/jupyterd/status"));
    await readLog();
    at("offline").hidden = true;
  } catch (error) {
    at("offline").textContent = error instanceof TypeError ? "The server does not answer. Trying again." : error.message;
    at("offline").hidden = false;
  }
}

async function live() {
  if (!document.hidden) await look();
  setTimeout(live, EVERY);
}

at("log-all").addEventListener("click", () => startLog("", ""));
live();
