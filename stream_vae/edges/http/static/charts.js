// The newest steps of one series: score against threshold, each feature against what was expected.

const SYNC = uPlot.sync("steps");
const HEIGHT = { score: 150, feature: 155 };
const MOST = 720;

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const DIGITS = [3, 4, 5].map((n) => [n, new Intl.NumberFormat("en", { maximumSignificantDigits: n })]);
const FORMATS = new Map(DIGITS);

export function numberText(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(2);
  return FORMATS.get(digits).format(value);
}

// Steps in the order of time; one that was judged anew takes the place of the one before.
class Steps {
  constructor({ features, step_ms }) {
    this.features = features;
    this.step_ms = step_ms;
    this.widest = 1.5 * step_ms; // beyond, something is missing between two steps
    this.rows = new Map();
  }

  add(message) {
    message.t.forEach((t, i) => {
      const cells = message.values.map((columns) => columns.map((column) => column[i]));
      this.rows.set(t, { score: message.score[i], threshold: message.threshold[i], cells });
    });
    const surplus = this.rows.size - MOST;
    if (surplus > 0) this.times().slice(0, surplus).forEach((t) => this.rows.delete(t));
  }

  times() {
    return [...this.rows.keys()].sort((a, b) => a - b);
  }

  columns(pick, n) {
    const times = this.times();
    const places = [];
    const found = Array.from({ length: n }, () => []);
    const put = (t, values) => {
      places.push(t);
      values.forEach((value, i) => found[i].push(value));
    };
    const nothing = new Array(n).fill(null);
    times.forEach((t, i) => {
      if (i > 0 && t - times[i - 1] > this.widest) put((t + times[i - 1]) / 2, nothing);
      put(t, pick(this.rows.get(t)));
    });
    return [places, ...found];
  }

  reach() {
    const times = this.times();
    return times.length ? [times[0], times[times.length - 1]] : null;
  }

  newest() {
    const times = this.times();
    return times.length ? this.rows.get(times[times.length - 1]) : null;
  }
}

export class Charts {
  constructor(root) {
    this.root = root;
    this.steps = null;
    this.plots = [];
    this.spans = [];
    this.focused = null;
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  clear() {
    this.steps = null;
    this.build();
  }

  // Message of the stream: all steps of a series, or those that are new.
  show(message) {
    if (message.is_new || this.steps === null) {
      this.steps = new Steps(message);
      this.steps.add(message);
      this.build();
      return;
    }
    this.steps.add(message);
    this.draw();
  }

  // [[from, to or null while firing], …] in milliseconds
  mark(spans) {
    const before = JSON.stringify(this.spans);
    this.spans = spans;
    if (JSON.stringify(spans) !== before) this.plots.forEach((one) => one.plot.redraw(false));
  }

  // [from, to or null while it lasts] in milliseconds, or null: all there is.
  focus(span) {
    const before = JSON.stringify(this.focused);
    this.focused = span;
    if (JSON.stringify(span) !== before && this.steps !== null) this.draw();
  }

  // Times of the oldest and the newest step.
  reach() {
    return this.steps?.reach() ?? null;
  }

  // What is drawn of the time that there is: an incident, and as much before and after it.
  range(low, high) {
    if (low === null) return [null, null];
    if (this.focused === null) return [low, Math.max(high, low + this.steps.step_ms)];
    const [from, to] = [this.focused[0], this.focused[1] ?? high];
    const around = Math.max(to - from, 15 * this.steps.step_ms);
    const [first, last] = [Math.max(from - around, low), Math.min(to + around, high)];
    return first < last ? [first, last] : [low, high];
  }

  build() {
    this.plots.forEach((one) => one.plot.destroy());
    this.plots = [];
    this.root.replaceChildren();
    if (this.steps === null) return;
    this.isSteep = isSteep(this.steps);
    this.plots.push(this.scoreChart());
    this.steps.features.forEach((feature, f) => this.plots.push(this.featureChart(feature, f)));
    this.root.append(legend());
    this.draw();
  }

  draw() {
    if (isSteep(this.steps) !== this.isSteep) {
      this.build();
      return;
    }
    for (const one of this.plots) {
      one.plot.setData(one.data());
      one.tell();
    }
  }

  fit() {
    const width = this.width();
    for (const one of this.plots) if (one.plot.width !== width) one.plot.setSize({ width, height: one.plot.height });
  }

  width() {
    return Math.max(this.root.clientWidth, 200);
  }

  scoreChart() {
    const { figure, plot, newest } = frame("Score against threshold", "");
    this.root.append(figure);
    const chart = new uPlot(
      this.options(HEIGHT.score, {
        ...(this.isSteep ? STEEP : {}),
        series: [
          {},
          line("score", ink("--score"), 1.5),
          { ...line("threshold", ink("--threshold"), 1.2), dash: [6, 4] },
        ],
      }),
      [[], [], []],
      plot,
    );
    const tell = () => {
      const last = this.steps.newest();
      const isAbove = last !== null && last.score > last.threshold;
      newest.textContent = last === null ? "" : `${numberText(last.score)}, threshold ${numberText(last.threshold)}`;
      newest.classList.toggle("off", isAbove);
    };
    return { plot: chart, data: () => this.steps.columns((row) => [row.score, row.threshold], 2), tell };
  }

  featureChart(feature, f) {
    const unit = feature.unit ? ` [${feature.unit}]` : "";
    const { figure, plot, newest } = frame(feature.name, unit);
    this.root.append(figure);
    const isCode = feature.kind === "categorical";
    const hundredths = (value) => (value === null || feature.kind !== "count" ? value : Math.round(value * 100) / 100);
    const level = (code) => (isCode && code !== null ? feature.categories[Math.round(code)] ?? "unseen" : numberText(hundredths(code), 5));
    const shape = isCode || feature.kind === "binary" ? { paths: uPlot.paths.stepped({ align: 1 }) } : {};
    const chart = new uPlot(
      this.options(HEIGHT.feature, {
        axis: isCode ? { values: (_, splits) => splits.map((one) => (Number.isInteger(one) ? level(one).slice(0, 12) : "")) } : {},
        series: [
          {},
          line("low", "transparent", 0),
          line("high", "transparent", 0),
          { ...line("expected", ink("--expected"), 1.2), ...shape },
          { ...line("actual", ink("--ink"), 1.6), ...shape },
        ],
        bands: [{ series: [2, 1], fill: ink("--band"), dir: -1 }],
      }),
      [[], [], [], [], []],
      plot,
    );
    const data = () =>
      this.steps.columns((row) => {
        const [actual, expected, low, high] = row.cells[f];
        return [low, high, expected, actual];
      }, 4);
    const tell = () => {
      const last = this.steps.newest();
      if (last === null) return;
      const [actual, expected, low, high] = last.cells[f];
      const told = expected === null ? "" : `, expected ${level(expected)}`;
      const band = low === null || feature.kind === "binary" ? "" : ` (${numberText(low, 5)} to ${numberText(high, 5)})`;
      newest.textContent = actual === null ? "not observed" : `${level(actual)}${told}${band}`;
      newest.classList.toggle("off", actual !== null && low !== null && feature.kind !== "binary" && (actual < low || actual > high));
    };
    return { plot: chart, data, tell };
  }

  options(height, { scales = {}, axis = {}, series, bands = [] }) {
    const quiet = { stroke: ink("--quiet"), grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line"), width: 1, size: 4 }, font: "12px system-ui, sans-serif" };
    return {
      width: this.width(),
      height,
      ms: 1,
      tzDate: (ms) => uPlot.tzDate(new Date(ms), "Etc/UTC"),
      legend: { show: false },
      padding: [null, 30, null, null], // half a label of time
      cursor: { sync: { key: SYNC.key }, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: true, range: (_, low, high) => this.range(low, high) }, ...scales },
      axes: [
        { ...quiet, values: timeLabels, space: 90, size: 42 },
        { ...quiet, size: 62, space: 28, values: (_, splits) => splits.map((one) => (one === null ? "" : numberText(one))), ...axis },
      ],
      series,
      bands,
      hooks: { drawClear: [(plot) => this.shade(plot)] },
    };
  }

  shade(plot) {
    const { left, width, top, height } = plot.bbox;
    plot.ctx.save();
    plot.ctx.fillStyle = ink("--span");
    for (const [from, to] of this.spans) {
      const begin = Math.max(plot.valToPos(from, "x", true), left);
      const end = to === null ? left + width : Math.min(plot.valToPos(to, "x", true), left + width);
      if (end > left && begin < left + width) plot.ctx.fillRect(begin, top, Math.max(end - begin, 2), height);
    }
    plot.ctx.restore();
  }
}

// An outage may score a thousand times a small peak: then the scale is logarithmic beyond 1.
const POWERS = Array.from({ length: 12 }, (_, i) => 10 ** i);
const LEVELS = [...POWERS.map((one) => -one).reverse(), 0, ...POWERS];
const STEEP = {
  scales: { y: { distr: 4, asinh: 1, range: (_, low, high) => [Math.min(low, 0), high * 1.5] } },
  axis: { splits: (_, __, low, high) => LEVELS.filter((one) => one >= low && one <= high), filter: (_, splits) => splits },
};

function isSteep(steps) {
  const scores = [...steps.rows.values()].map((row) => Math.abs(row.score ?? 0));
  return Math.max(...scores, 0) > 50;
}

function line(label, stroke, width) {
  return { label, stroke, width: width, points: { show: false }, spanGaps: false };
}

function frame(name, unit) {
  const figure = document.createElement("figure");
  figure.className = "chart";
  const caption = document.createElement("figcaption");
  const title = document.createElement("span");
  title.className = "name";
  title.textContent = name + unit;
  const newest = document.createElement("span");
  newest.className = "newest";
  const plot = document.createElement("div");
  plot.className = "plot";
  plot.setAttribute("aria-hidden", "true"); // the caption says the newest of it
  caption.append(title, newest);
  figure.append(caption, plot);
  return { figure, plot, newest };
}

function legend() {
  const found = document.createElement("p");
  found.className = "legend";
  for (const [kind, text] of [
    ["actual", "actual"],
    ["expected", "expected"],
    ["band", "where most values were expected"],
    ["threshold", "threshold"],
    ["incident", "incident"],
  ]) {
    const one = document.createElement("span");
    one.className = `is-${kind}`;
    one.textContent = text;
    found.append(one);
  }
  return found;
}

const two = (number) => String(number).padStart(2, "0");

// Times are UTC, as in alerts and logs.
function timeLabels(_, splits, __, ___, step) {
  let day = "";
  return splits.map((ms) => {
    const at = new Date(ms);
    const date = `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
    const clock = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}${step < 60000 ? `:${two(at.getUTCSeconds())}` : ""}`;
    if (step >= 86400000) return date;
    const text = date === day ? clock : `${clock}\n${date}`;
    day = date;
    return text;
  });
}
