// The live page. What comes from the stream is shown as text, never as markup.

import { Charts, numberText } from "./charts.js";

const at = (id) => document.getElementById(id);
const charts = new Charts(at("charts"));
const state = {
  series: null, // of the stream: how many, and those that rank highest
  incidents: null, // in the order in which they are shown; null until they were told
  shown: new Map(), // number -> incident
  found: null,
  picked: pickedFromAddress(),
  quiet: "", // why the picked one, above its threshold, has no incident
  focused: null, // id of the incident whose time is drawn
  known: new Map(),
  lost: 0,
  isBroken: false, // whether the page has ended: nothing more comes but the status
};

// Elements

function make(tag, className, text) {
  const found = document.createElement(tag);
  if (className) found.className = className;
  if (text !== undefined && text !== null) found.textContent = text;
  return found;
}

function badge(kind, text) {
  return make("span", `badge ${kind}`, text);
}

// Keeps the elements that stay, so that focus and open details are not lost.
function keyed(root, items, keyOf, create, update) {
  root.kept ??= new Map();
  const before = root.kept;
  root.kept = new Map();
  items.forEach((item, i) => {
    const key = keyOf(item);
    const element = before.get(key) ?? create(item);
    before.delete(key);
    root.kept.set(key, element);
    update(element, item);
    if (root.children[i] !== element) root.insertBefore(element, root.children[i] ?? null);
  });
  for (const element of before.values()) element.remove();
}

function fill(root, pairs) {
  keyed(
    root,
    pairs.filter(([, value]) => value !== null && value !== undefined && value !== ""),
    ([name]) => name,
    ([name]) => {
      const one = make("div");
      one.append(make("dt", "", name), make("dd"));
      return one;
    },
    (element, [, value]) => {
      if (element.lastChild.textContent !== value) element.lastChild.textContent = value;
    },
  );
}

// Words

const whole = new Intl.NumberFormat("en");
const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));

function plural(n, one, many) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

function time(ms) {
  if (ms === null || ms === undefined) return "–";
  const text = new Date(ms).toISOString();
  const seconds = text.slice(16, 19) === ":00" ? "" : text.slice(16, 19);
  return `${text.slice(0, 10)} ${text.slice(11, 16)}${seconds} UTC`;
}

function span(seconds) {
  if (seconds === null || seconds === undefined) return null;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  const first = units.findIndex(([, size]) => seconds >= size);
  const [unit, size] = units[first];
  const next = units[first + 1];
  const left = next ? Math.floor((seconds % size) / next[1]) : 0;
  return `${Math.floor(seconds / size)} ${unit}${left ? ` ${left} ${next[0]}` : ""}`;
}

const REASONS = {
  back_to_normal: "as expected again",
  new_level: "its new level is taken as normal",
  cannot_be_judged: "its readings cannot be judged",
  forgotten: "the series was forgotten",
  moved: "the series moved to another partition",
  returned: "the series sends again",
};

const NONE = "None since this instance began.";

// Address

function pickedFromAddress() {
  const found = /^#series=(\d+)\/(.*)$/s.exec(location.hash);
  if (!found) return null;
  try {
    return { partition: Number(found[1]), key: decodeURIComponent(found[2]) };
  } catch {
    return null;
  }
}

const nameOf = (one) => `${one.partition}/${one.key}`;
const isPicked = (one) => state.picked !== null && one.key === state.picked.key && one.partition === state.picked.partition;

function pick(one) {
  if (isPicked(one)) return;
  state.picked = { partition: one.partition, key: one.key, label: one.label };
  state.focused = null;
  state.quiet = "";
  history.replaceState(null, "", `#series=${one.partition}/${encodeURIComponent(one.key)}`);
  charts.clear();
  showPicked();
  showRanking();
  connect();
}

// The state of the instance

function showStatus(status) {
  const ready = status.ready ?? { status: "failed", reason: "" };
  const live = status.live ?? { status: "ok", reason: "" };
  const [kind, word] = status.is_stopping
    ? ["warn", "stopping"]
    : live.status !== "ok"
      ? ["bad", "stuck"]
      : { ok: ["good", "ready"], degraded: ["warn", "degraded"] }[ready.status] ?? ["bad", "not ready"];
  at("ready").className = `badge ${kind}`;
  at("ready").textContent = word;
  at("reason").textContent = live.status !== "ok" ? live.reason : ready.status === "failed" ? ready.reason : "";
  showBroken(status.page?.status === "failed" ? status.page.reason : "");
  at("detector").textContent = status.detector ?? "stream-vae";
  const model = status.detectors?.[0];
  fill(at("facts"), [
    ["version", status.version],
    ["model", model ? `${model.model_id} ${model.model_version.slice(0, 8)}` : null],
    ["threshold", model?.threshold],
    ["group", status.group],
    ["instance", status.instance_id],
    ["up", span(status.uptime_s)],
    ["last verdict", status.last_verdict ? `${span(Math.max(status.last_verdict.s_ago, 0))} ago` : null],
    ["newest reading", state.series?.newest_at ? time(state.series.newest_at) : null],
    ["blind", status.series?.blind ? plural(status.series.blind, "series", "series") : null],
  ]);
  const kinds = { blocking: "bad", fault: "warn", idle: "waiting" };
  keyed(
    at("conditions"),
    status.conditions ?? [],
    (one) => one.code,
    (one) => {
      const element = make("li");
      element.append(badge(kinds[one.means], one.code.replaceAll("_", " ")), make("span"));
      return element;
    },
    (element, one) => {
      const text = `${one.detail} (for ${span(one.for_s)})`;
      if (element.lastChild.textContent !== text) element.lastChild.textContent = text;
    },
  );
  showPartitions(status);
  showUnseen(status.unseen_templates ?? []);
}

// What the page shows ends with its first defect; status and partitions are from elsewhere, and go on.
function showBroken(reason) {
  const wasBroken = state.isBroken;
  state.isBroken = Boolean(reason);
  if (state.isBroken !== wasBroken) showPicked();
  at("broken").hidden = !reason;
  document.body.classList.toggle("is-broken", state.isBroken);
  const text = `This page has stopped (${reason}): series, incidents and dead letters are as they were then. Detection goes on, and so do alerts. It is a bug of stream-vae: the log has its traceback (page_failed); a restart brings the page back.`;
  if (reason && at("broken").textContent !== text) at("broken").textContent = text;
}

function showPartitions(status) {
  const partitions = status.partitions ?? [];
  const all = status.n_partitions ?? partitions.length;
  at("n-partitions").textContent = all > partitions.length ? `${count(all)}, the ${partitions.length} that lag most` : count(all);
  keyed(
    at("partition-rows"),
    partitions,
    (one) => one.partition,
    () => {
      const row = make("tr");
      for (let i = 0; i < 6; i++) row.append(make("td", i > 1 ? "number" : ""));
      return row;
    },
    (row, one) => {
      const stalled = one.stalled_s > 60 ? `, stalled for ${span(one.stalled_s)}` : "";
      const texts = [
        `${one.topic} ${one.partition}`,
        one.phase + stalled,
        count(one.lag_records),
        one.lag_s === null ? "–" : one.lag_s.toFixed(1),
        count(one.position),
        count(one.committed),
      ];
      texts.forEach((text, i) => {
        if (row.children[i].textContent !== text) row.children[i].textContent = text;
      });
    },
  );
}

function showUnseen(templates) {
  at("unseen").hidden = templates.length === 0;
  keyed(
    at("unseen-list"),
    templates,
    (one) => one.template,
    (one) => {
      const element = make("li");
      element.append(make("b"), " ", make("code", "", one.template));
      return element;
    },
    (element, one) => (element.firstChild.textContent = `${count(one.lines)} ×`),
  );
}

// Series

function rowsShown() {
  return state.found ?? state.series?.ranking ?? [];
}

let held = null;

// Rows do not change places under a pointer, or while one of them has the focus.
function inHeldOrder(rows) {
  const list = at("ranking");
  if (!list.matches(":hover") && !list.contains(document.activeElement)) held = null;
  if (held === null || state.found !== null) {
    held = rows.map(nameOf);
    return rows;
  }
  const place = new Map(held.map((name, i) => [name, i]));
  const ordered = [...rows].sort((a, b) => (place.get(nameOf(a)) ?? 1e9) - (place.get(nameOf(b)) ?? 1e9));
  held = ordered.map(nameOf);
  return ordered;
}

function showRanking() {
  const firing = new Set((state.incidents ?? []).filter((one) => one.firing).map(nameOf));
  keyed(
    at("ranking"),
    inHeldOrder(rowsShown()),
    nameOf,
    (one) => {
      const element = make("li");
      const button = make("button");
      button.type = "button";
      const bar = make("span", "bar");
      bar.append(make("i"));
      button.append(make("span", "dot"), make("span", "label"), make("span", "value"), bar);
      button.addEventListener("click", () => pick(element.one));
      element.append(button);
      return element;
    },
    (element, one) => {
      element.one = one;
      const button = element.firstChild;
      const [dot, label, value, bar] = button.children;
      const isFiring = firing.has(nameOf(one)) || one.firing === true;
      const isAbove = one.score !== null && one.score > one.threshold;
      const why = one.quiet ? `no incident: ${one.quiet}` : "";
      const text = one.score === null ? "not judged" : `${numberText(one.score)} / ${numberText(one.threshold)}`;
      button.setAttribute("aria-current", String(isPicked(one)));
      button.title = `${one.label}, partition ${one.partition}${why && `; ${why}`}`;
      button.setAttribute("aria-label", `${one.label}, score ${text.replace(" / ", ", threshold ")}${isFiring ? ", incident" : why && `, ${why}`}`);
      button.classList.toggle("above", isAbove && isFiring);
      button.classList.toggle("unheeded", isAbove && !isFiring);
      dot.classList.toggle("firing", isFiring);
      if (label.textContent !== one.label) label.textContent = one.label;
      if (value.textContent !== text) value.textContent = text;
      // Half of the bar is the threshold; far from it the bar hardly grows.
      const above = one.score === null ? -Infinity : Math.asinh(one.score - one.threshold) / 3;
      bar.firstChild.style.width = `${(50 + 50 * Math.tanh(above)).toFixed(1)}%`;
    },
  );
  at("n-series").textContent = state.series ? plural(state.series.n_series, "series", "series") : "";
}

let searching = 0;

async function search() {
  const text = at("search").value.trim();
  const number = ++searching;
  if (!text) {
    state.found = null;
    at("order").textContent = "Highest score above its threshold first";
    showRanking();
    return;
  }
  const answer = await fetch(`series?q=${encodeURIComponent(text)}`).catch(() => null);
  if (number !== searching || !answer?.ok) return;
  const found = await answer.json();
  if (number !== searching) return;
  state.found = found.series;
  const n = found.series.length;
  at("order").textContent = n === 0 ? "No series has this in its key" : found.is_all ? `${n} found` : `The ${n} shortest of many; type more`;
  showRanking();
}

let typed = 0;
at("search").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(search, 250);
});

at("ranking").addEventListener("keydown", (event) => {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  const buttons = [...at("ranking").querySelectorAll("button")];
  const here = buttons.indexOf(document.activeElement);
  const to = event.key in steps ? here + steps[event.key] : { Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || here < 0) return;
  event.preventDefault();
  if (to < 0) at("search").focus();
  else buttons[Math.min(to, buttons.length - 1)].focus();
});

at("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") {
    event.preventDefault();
    at("ranking").querySelector("button")?.focus();
  } else if (event.key === "Escape") {
    at("search").value = "";
    search();
  }
});

addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  event.preventDefault();
  at("search").focus();
});

function showPicked() {
  const one = state.picked;
  at("picked-title").textContent = one === null ? "No series picked" : one.label ?? one.key;
  at("picked-hint").hidden = charts.steps !== null;
  if (one === null) return;
  at("picked-hint").textContent = state.isBroken
    ? "Its steps are not known: it was not picked before the page stopped."
    : "Nothing of it was judged here since the page opened: its next reading will be drawn.";
  const incidents = (state.incidents ?? []).filter(isPicked);
  const isFiring = incidents.some((incident) => incident.firing);
  const quiet = isFiring ? "" : state.quiet;
  at("picked-state").replaceChildren(verdict(isFiring, quiet), ` partition ${one.partition}`);
  at("picked-quiet").hidden = !quiet;
  at("picked-quiet").textContent = `No incident: ${quiet}.`;
  charts.mark(incidents.map(spanOf));
  showMarks(incidents);
}

function verdict(isFiring, quiet) {
  if (state.isBroken) return badge("waiting", "not known any more");
  if (state.incidents === null) return badge("waiting", "connecting");
  if (isFiring) return badge("bad", "incident");
  return quiet ? badge("warn", "above its threshold, no incident") : badge("good", "no incident");
}

const spanOf = (incident) => [incident.starts_at, incident.firing ? null : incident.ends_at];

// The incidents of the picked series: each brings the charts to its time.
function showMarks(incidents) {
  keyed(
    at("picked-incidents"),
    incidents,
    (one) => one.id,
    () => {
      const element = make("li");
      const button = make("button", "pick");
      button.type = "button";
      button.addEventListener("click", () => bring(element.one));
      element.append(button);
      return element;
    },
    (element, one) => {
      element.one = one;
      const text = `${time(one.starts_at)} · ${one.firing ? "firing" : span(one.duration_s) ?? "over"}`;
      if (element.firstChild.textContent !== text) element.firstChild.textContent = text;
      element.firstChild.setAttribute("aria-pressed", String(state.focused === one.id));
    },
  );
  showFocused(incidents.find((one) => one.id === state.focused) ?? null);
}

// Draws the time of an incident, in place of the newest steps.
function bring(one) {
  pick(one);
  state.focused = one.id;
  showPicked();
}

function showFocused(one) {
  at("focused").hidden = one === null;
  charts.focus(one === null ? null : spanOf(one));
  if (one === null) return;
  const [from] = charts.reach() ?? [Infinity];
  const isGone = !one.firing && charts.steps !== null && one.ends_at < from;
  at("focused").firstChild.textContent = isGone ? `The steps of ${time(one.starts_at)} are no longer kept: of each series the newest are.` : `Drawn around ${time(one.starts_at)}.`;
}

at("follow").addEventListener("click", () => {
  state.focused = null;
  showPicked();
});

// Incidents

function showIncidents(incidents) {
  const n = incidents.filter((one) => one.firing).length;
  at("n-incidents").textContent = incidents.length ? `${count(n)} firing, ${count(incidents.length - n)} over` : "";
  at("no-incidents").hidden = incidents.length > 0;
  at("no-incidents").textContent = NONE;
  document.title = `${n ? `(${n}) ` : ""}${at("detector").textContent} · stream-vae`;
  keyed(
    at("incident-list"),
    incidents,
    (one) => one.id + nameOf(one),
    () => {
      const element = make("li");
      const details = make("details", "incident");
      details.append(make("summary"), make("div", "body"));
      element.append(details);
      return element;
    },
    (element, one) => {
      const version = JSON.stringify(one);
      if (element.version === version) return;
      element.version = version;
      showIncident(element.firstChild, one);
    },
  );
  announce(incidents);
}

const SEVERITY = { critical: "bad", warning: "warn", info: "waiting" };

function showIncident(details, one) {
  details.className = `incident ${one.firing ? "firing" : "over"}`;
  const summary = details.firstChild;
  const kind = one.kind === "anomaly" ? "" : ` ${one.kind}`;
  const ended = one.firing ? "firing" : `${span(one.duration_s) ?? "over"}`;
  summary.replaceChildren(
    badge(one.firing ? SEVERITY[one.severity] : "waiting", one.firing ? one.severity + kind : `over${kind}`),
    make("span", "who", one.label),
    make("span", "when", `${time(one.starts_at)} · ${ended}`),
    make("span", "about", one.summary),
  );
  details.lastChild.replaceChildren(...bodyOf(one));
}

function bodyOf(one) {
  const facts = make("dl", "facts");
  const offsets = one.source.offset_start === one.source.offset_end ? `offset ${one.source.offset_start}` : `offsets ${one.source.offset_start} to ${one.source.offset_end}`;
  fill(facts, [
    ["score", one.score === undefined ? null : `${numberText(one.score)} > ${numberText(one.threshold)}`],
    ["peak", [numberText(one.score_peak), one.peak ? `${one.peak} off` : ""].filter(Boolean).join(", ")],
    ["ended", one.reason ? `${time(one.ends_at)}, ${REASONS[one.reason]}` : null],
    ["records", `${one.source.topic} ${one.source.partition}, ${offsets}`],
  ]);
  const found = [facts];
  for (const feature of one.features) found.push(contribution(feature));
  for (const level of one.levels) {
    const unit = level.unit ? ` ${level.unit}` : "";
    found.push(make("p", "", `${level.name}: ${numberText(level.after)}${unit}, ${numberText(level.before)} before`));
  }
  for (const [name, url] of Object.entries(one.links)) {
    const link = make("a", "", name);
    link.href = url;
    link.rel = "noopener noreferrer";
    link.target = "_blank";
    found.push(link);
  }
  const button = make("button", "pick", "Show in the charts");
  button.type = "button";
  button.addEventListener("click", () => {
    bring(one);
    at("picked-title").scrollIntoView({ block: "start", behavior: "auto" });
  });
  return [...found, button];
}

function contribution(feature) {
  const element = make("div", "contribution");
  const share = make("div");
  const bar = make("div", "bar");
  const part = make("i");
  part.style.width = `${Math.round(feature.contribution * 100)}%`;
  bar.append(part);
  share.append(make("span", "share", `${Math.round(feature.contribution * 100)} % of the score`), bar);
  const words = make("div", "words");
  if (feature.name) words.append(make("b", "", feature.name), " ");
  words.append(feature.words);
  // The words quote both, but for their ends where they are long.
  for (const text of feature.template ? [feature.template, feature.example] : []) {
    if (text && !feature.words.includes(text)) words.append(make("code", "", text));
  }
  element.append(share, words);
  return element;
}

// Says what has changed to those who do not see it.
function announce(incidents) {
  const now = new Map(incidents.map((one) => [one.id + nameOf(one), one.firing]));
  if (state.known.size || state.announces) {
    const opened = incidents.filter((one) => one.firing && !state.known.has(one.id + nameOf(one)));
    const over = incidents.filter((one) => !one.firing && state.known.get(one.id + nameOf(one)) === true);
    const words = [...opened.map((one) => `Incident: ${one.summary}`), ...over.map((one) => `Over: ${one.summary}`)];
    if (words.length) at("announced").textContent = words.slice(0, 3).join(". ");
  }
  state.announces = true;
  state.known = now;
}

// Dead letters

function showDeadLetters({ counts, newest }) {
  const reasons = Object.entries(counts);
  const n = reasons.reduce((sum, [, each]) => sum + each, 0);
  at("n-dead").textContent = n ? plural(n, "record", "records") : "";
  at("no-dead").hidden = n > 0;
  at("no-dead").textContent = NONE;
  at("dead-newest").hidden = newest.length === 0;
  keyed(
    at("dead-counts"),
    reasons,
    ([reason]) => reason,
    ([reason]) => {
      const element = make("li");
      element.append(make("b"), ` ${reason.replaceAll("_", " ")}`);
      return element;
    },
    (element, [, each]) => (element.firstChild.textContent = count(each)),
  );
  keyed(
    at("dead-list"),
    newest,
    (one) => `${one.partition} ${one.offset} ${one.reason} ${one.detail}`,
    (one) => {
      const element = make("li");
      element.append(badge("waiting", one.reason.replaceAll("_", " ")), ` ${one.topic} ${one.partition}, offset ${one.offset}: `, make("code", "", one.detail));
      return element;
    },
    () => {},
  );
}

// The stream

function showSeries(series) {
  state.series = series;
  if (state.picked === null && series.ranking.length) pick(series.ranking[0]);
  showRanking();
}

// The first message has all incidents, those after it what has changed.
function takeIncidents({ is_whole, order, changed }) {
  if (is_whole) state.shown.clear();
  for (const [number, one] of changed) state.shown.set(number, one);
  state.shown = new Map(order.map((number) => [number, state.shown.get(number)]));
  state.incidents = [...state.shown.values()];
  showIncidents(state.incidents);
  showRanking();
  showPicked();
}

function tellConnection(text, isLost) {
  if (at("connection").textContent !== text) at("connection").textContent = text;
  document.body.classList.toggle("is-lost", isLost);
}

let stream = null;

function connect() {
  stream?.close();
  const series = state.picked === null ? "" : `?partition=${state.picked.partition}&key=${encodeURIComponent(state.picked.key)}`;
  stream = new EventSource(`events${series}`);
  const on = (name, show) =>
    stream.addEventListener(name, (event) => {
      state.lost = 0;
      tellConnection("live", false);
      show(JSON.parse(event.data));
    });
  on("status", showStatus);
  on("series", showSeries);
  on("incidents", takeIncidents);
  on("dead_letters", showDeadLetters);
  on("steps", (steps) => {
    state.quiet = steps.quiet;
    charts.show(steps);
    showPicked();
  });
  const mine = stream;
  stream.onerror = () => {
    if (mine !== stream) return;
    state.lost ||= Date.now();
    // A stream ends each minute and begins anew: that alone is nothing to tell.
    setTimeout(() => {
      if (state.lost && Date.now() - state.lost > 2500) tellLost();
    }, 3000);
    if (mine.readyState === EventSource.CLOSED) setTimeout(() => mine === stream && connect(), 4000);
  };
}

async function tellLost() {
  const answer = await fetch("series?q=", { redirect: "manual" }).catch(() => null);
  if (!state.lost) return;
  if (answer?.status === 401) location.replace("login");
  else tellConnection(answer?.ok ? "too many pages are open: trying again" : "connection lost: trying again", true);
}

addEventListener("hashchange", () => {
  const named = pickedFromAddress();
  if (named) pick({ ...named, label: named.key });
});

connect();
