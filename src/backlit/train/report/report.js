const data = JSON.parse(document.getElementById("data").textContent);
const tip = document.getElementById("tip");
const COLOURS = ["var(--c0)", "var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)"];
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"];

/* -- small tools -- */

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "text", "rect", "circle", "g", "title"].includes(tag);
  const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (k === "on") { for (const [name, f] of Object.entries(v)) e.addEventListener(name, f); }
    else if (v !== null && v !== undefined && v !== false) e.setAttribute(k, v === true ? "" : v);
  }
  for (const c of children.flat()) if (c !== null && c !== undefined) e.append(c);
  return e;
}
function show(v) {
  if (v === null || v === undefined) return "–";
  const a = Math.abs(v);
  if (a === 0) return "0";
  const text = a >= 1e5 || a < 1e-3 ? v.toExponential(2) : a >= 100 ? v.toFixed(a % 1 ? 1 : 0) : String(+v.toPrecision(4));
  return text.replace(/\.?0+e/, "e").replace(/e([+-])0?/, (_, s) => "e" + (s === "-" ? "−" : "")).replace(/^-/, "−");
}
function number(name, v) {
  return v !== null && v !== undefined && data.percent.includes(name) ? (100 * v).toFixed(1) + " %" : show(v);
}
function many(n, one, several = one + "s") { return `${n.toLocaleString("en")} ${n === 1 ? one : several}`; }
function plain(name) { return name.replace(/^validation_/, ""); }
function point(text, x, y) {
  if (text === null) { tip.hidden = true; return; }
  tip.textContent = text;
  tip.hidden = false;
  const w = tip.offsetWidth, h = tip.offsetHeight;
  tip.style.left = Math.max(4, Math.min(innerWidth - w - 8, x + 14)) + "px";
  tip.style.top = Math.max(4, Math.min(innerHeight - h - 8, y + 14)) + "px";
}
function ticks(low, high, count) {
  const raw = (high - low) / count, power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 2.5, 5, 10].map(m => m * power).find(s => s >= raw);
  const found = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(Math.abs(v) < step / 1e6 ? 0 : v);
  return found;
}
function powers(low, high) {
  const found = [];
  const first = Math.ceil(low - 1e-9), last = Math.floor(high + 1e-9), step = Math.max(1, Math.ceil((last - first) / 5));
  for (let p = first; p <= last; p += step) found.push(p);
  if (found.length >= 3) return found;
  const fine = [];
  for (let p = Math.floor(low); p <= high; p++) for (const m of [1, 2, 5]) fine.push(p + Math.log10(m));
  const inside = fine.filter(v => v >= low - 1e-9 && v <= high + 1e-9);
  return inside.length >= 2 ? inside : ticks(low, high, 3);
}
const SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹";
function power(p) {
  if (!Number.isInteger(p)) return show(+Math.pow(10, p).toPrecision(2));
  return p >= -2 && p <= 4 ? show(Math.pow(10, p)) : "10" + (p < 0 ? "⁻" : "") + [...String(Math.abs(p))].map(d => SUPER[d]).join("");
}

/* The room that labels take left of an axis: a digit of 11 px is at most 7 wide, of 16 px 10. */
function room(labels, narrow) {
  return Math.max(narrow ? 40 : 34, 10 + (narrow ? 10 : 7) * Math.max(...labels.map(text => text.length)));
}

/* -- line charts -- */

/* lines: [{name, x, y, colour, dash}]; options: {log, format, unit, mark: {x, text}, band: [a, b, text], label} */
function chart(title, lines, options = {}) {
  const card = make("div", {class: "card"});
  const canLog = lines.some(l => l.y.some(v => v > 0)) && !lines.some(l => l.y.some(v => v !== null && v < 0));
  let log = Boolean(options.log) && canLog;
  const holder = make("div");
  const toggle = options.percent || !canLog ? null : make("button", {"aria-pressed": String(log), on: {click: () => {
    log = !log; toggle.setAttribute("aria-pressed", String(log)); draw();
  }}}, "log scale");
  card.append(make("div", {class: "head"}, make("h3", {}, title), toggle), holder);
  const legend = make("ul", {class: "legend"});
  for (const l of lines) {
    const last = [...l.y].reverse().find(v => v !== null && v !== undefined);
    const item = make("li", {}, make("svg", {viewBox: "0 0 26 8", "aria-hidden": "true"},
      make("line", {x1: 0, x2: 26, y1: 4, y2: 4, style: `stroke:${l.colour}`, "stroke-width": 2.4, "stroke-dasharray": l.dash || null})),
      l.name);
    if (!options.quiet) item.append(" ", make("b", {}, (options.format || show)(last)));
    legend.append(item);
  }
  card.append(legend);
  const format = options.format || show;

  function draw() {
    const W = 560, H = options.height || 230, narrow = innerWidth < 640, R = 12, T = 10, B = narrow ? 38 : 30;
    const f = v => v === null || v === undefined || (log && v <= 0) ? null : log ? Math.log10(v) : v;
    const xs = [...new Set(lines.flatMap(l => l.x))].sort((a, b) => a - b);
    const ys = lines.flatMap(l => l.y.map(f)).filter(v => v !== null);
    if (!ys.length) {
      holder.replaceChildren(make("p", {class: "note"}, options.empty || "No finite number here."));
      return;
    }
    let low = Math.min(...ys), high = Math.max(...ys);
    if (options.percent) { high = Math.min(1, high + 0.03 * (high - low + 0.01)); }
    if (!log && !options.percent && low >= 0 && low < 0.3 * high) low = 0;
    if (high - low < 1e-12 * Math.max(1, Math.abs(high))) { const d = Math.abs(high) * 0.1 || (log ? 0.5 : 1); low -= d; high += d; }
    const levels = (log ? powers(low, high) : ticks(low, high, 4)).map(t =>
      [t, log ? power(t) : options.percent ? +(100 * t).toFixed(1) + " %" : show(+t.toPrecision(6))]);
    const L = room(levels.map(([, text]) => text), narrow);
    const x0 = xs[0], x1 = xs.length > 1 ? xs[xs.length - 1] : xs[0] + 1;
    const X = v => xs.length > 1 ? L + (v - x0) / (x1 - x0) * (W - L - R) : (L + W - R) / 2;
    const Y = v => T + (high - v) / (high - low) * (H - T - B);
    const svg = make("svg", {class: "chart", viewBox: `0 0 ${W} ${H}`, role: "img", tabindex: 0,
      "aria-label": `${title}, ${lines.length === 1 ? "one curve" : lines.length + " curves"} over ${many(xs.length, "epoch")}. ` +
        lines.map(l => `${l.name}: ${format(l.y.find(v => v !== null) ?? null)} to ${format([...l.y].reverse().find(v => v !== null) ?? null)}`).slice(0, 8).join("; ") +
        ". Arrow keys read the values."});
    if (options.band) {
      const [a, b] = options.band.map(v => typeof v === "number" ? f(v) : v);
      const top = Y(Math.min(high, b)), bottom = Y(Math.max(low, a));
      if (bottom > top) svg.append(make("rect", {class: "rule", x: L, width: W - L - R, y: top, height: bottom - top}));
    }
    for (const [t, text] of levels) {
      svg.append(make("line", {class: "g", x1: L, x2: W - R, y1: Y(t), y2: Y(t)}));
      svg.append(make("text", {x: L - 6, y: Y(t) + 4, "text-anchor": "end"}, text));
    }
    const whole = xs.length > 1 ? [...new Set(ticks(x0, x1, 6).map(Math.round))] : xs;
    for (const t of whole) if (t >= x0 && t <= x1)
      svg.append(make("text", {x: X(t), y: H - B + (narrow ? 18 : 15), "text-anchor": "middle"}, String(t)));
    svg.append(make("text", {x: W - R, y: H - 2, "text-anchor": "end"}, options.label || "epoch"));
    svg.append(make("line", {class: "axis", x1: L, x2: W - R, y1: H - B, y2: H - B}));
    if (options.mark && options.mark.x >= x0 && options.mark.x <= x1) {
      svg.append(make("line", {class: "mark", x1: X(options.mark.x), x2: X(options.mark.x), y1: T, y2: H - B}));
      const right = X(options.mark.x) > W * 0.7;
      svg.append(make("text", {x: X(options.mark.x) + (right ? -4 : 4), y: H - B - 6, "text-anchor": right ? "end" : "start"}, options.mark.text));
    }
    for (const l of lines) {
      let d = "", down = false, count = 0;
      l.x.forEach((x, i) => {
        const v = f(l.y[i]);
        if (v === null) { down = false; return; }
        d += `${down ? "L" : "M"}${X(x).toFixed(1)} ${Y(v).toFixed(1)}`;
        down = true; count += 1;
      });
      svg.append(make("path", {class: "l", d, style: `stroke:${l.colour}`, "stroke-dasharray": l.dash || null}));
      if (count <= 2) l.x.forEach((x, i) => { const v = f(l.y[i]); if (v !== null) svg.append(make("circle", {cx: X(x), cy: Y(v), r: 3.5, style: `fill:${l.colour}`})); });
    }
    const cross = make("line", {class: "cross", y1: T, y2: H - B, visibility: "hidden"});
    svg.append(cross);
    let place = xs.length - 1;
    function read(i, cx, cy) {
      place = Math.max(0, Math.min(xs.length - 1, i));
      const x = xs[place];
      cross.setAttribute("x1", X(x)); cross.setAttribute("x2", X(x)); cross.setAttribute("visibility", "visible");
      const rows = lines.map(l => { const k = l.x.indexOf(x); return k < 0 ? null : `${l.name}: ${l.y[k] === null ? "not finite" : format(l.y[k])}`; }).filter(r => r);
      const box = svg.getBoundingClientRect();
      point(`${options.label || "epoch"} ${x}\n${rows.slice(0, 14).join("\n")}${rows.length > 14 ? "\n…" : ""}`, cx ?? box.left + X(x) / W * box.width, cy ?? box.top + 20);
    }
    const leave = () => { cross.setAttribute("visibility", "hidden"); point(null); };
    svg.addEventListener("pointermove", e => {
      const box = svg.getBoundingClientRect(), at = (e.clientX - box.left) / box.width * W;
      let best = 0;
      xs.forEach((x, i) => { if (Math.abs(X(x) - at) < Math.abs(X(xs[best]) - at)) best = i; });
      read(best, e.clientX, e.clientY);
    });
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("blur", leave);
    svg.addEventListener("keydown", e => {
      const step = {ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9}[e.key];
      if (step !== undefined) { e.preventDefault(); read(place + step); }
      if (e.key === "Escape") leave();
    });
    holder.replaceChildren(svg);
  }
  draw();
  return card;
}

/* -- histograms over time -- */

function resolve(colour) { return getComputedStyle(document.documentElement).getPropertyValue(colour).trim(); }
const repaint = [];

function heat(name, kind, epochs, found) {
  const figure = make("figure", {class: "heat"});
  const logarithmic = kind === "gradient";
  const title = make("figcaption", {}, make("i", {class: logarithmic ? "d" : "v"}, logarithmic ? "|gradient|" : "values"));
  figure.append(title);
  const known = found.filter(h => h && h.counts.some(c => c));
  const newest = [...found].reverse().find(h => h);
  const notes = [];
  if (newest && newest.bad) notes.push(`${newest.bad} not finite`);
  if (newest && newest.zeros > 0.005 * newest.size) notes.push(`${Math.round(100 * newest.zeros / newest.size)} % zero`);
  title.append(make("span", {}, notes.join(", ")));
  if (!known.length) {
    const why = newest && newest.zeros === newest.size ? "all are 0" : newest ? "none is finite" : "none was computed";
    figure.append(make("div", {class: "none"}, why));
    return figure;
  }
  const low = Math.min(...known.map(h => h.low)), high = Math.max(...known.map(h => h.high));
  const ROWS = 32, span = high - low || 1;
  const columns = found.map(h => {
    const cells = new Array(ROWS).fill(0);
    if (!h || !h.counts.some(c => c)) return h ? cells : null;
    const width = (h.high - h.low) / h.counts.length;
    h.counts.forEach((c, i) => {
      const a = (h.low + i * width - low) / span * ROWS, b = (h.low + (i + 1) * width - low) / span * ROWS;
      const first = Math.min(ROWS - 1, Math.floor(a)), last = Math.min(ROWS - 1, Math.max(first, Math.ceil(b) - 1));
      for (let r = first; r <= last; r++) {
        const part = b > a ? Math.max(0, Math.min(b, r + 1) - Math.max(a, r)) / (b - a) : 1 / (last - first + 1);
        cells[r] += c * part;
      }
    });
    const top = Math.max(...cells);
    return cells.map(c => top ? c / top : 0);
  });
  const say = v => logarithmic ? power(+v.toFixed(1)) : show(+v.toPrecision(3));
  const end = v => logarithmic ? (Number.isInteger(+v.toFixed(1)) ? power(+v.toFixed(1)) : Math.pow(10, v).toExponential(0).replace(/e([+-])/, (_, s) => "e" + (s === "-" ? "−" : ""))) : show(+v.toPrecision(2));
  const canvas = make("canvas", {width: columns.length, height: ROWS, role: "img", tabindex: 0,
    "aria-label": `${name}: ${logarithmic ? "sizes of gradients" : "values"} from epoch ${epochs[0]} to ${epochs[epochs.length - 1]}, between ${say(low)} and ${say(high)}; at the end between ${say(newest.low)} and ${say(newest.high)}`});
  function paint() {
    const c = canvas.getContext("2d");
    c.clearRect(0, 0, canvas.width, ROWS);
    const colour = resolve(logarithmic ? "--heat-grad" : "--heat-value");
    columns.forEach((cells, x) => cells && cells.forEach((v, r) => {
      if (v > 0) { c.fillStyle = `rgba(${colour}, ${0.08 + 0.92 * Math.pow(v, 0.7)})`; c.fillRect(x, ROWS - 1 - r, 1, 1); }
    }));
  }
  paint();
  repaint.push(paint);
  canvas.addEventListener("pointermove", e => {
    const box = canvas.getBoundingClientRect();
    const i = Math.max(0, Math.min(columns.length - 1, Math.floor((e.clientX - box.left) / box.width * columns.length)));
    const h = found[i];
    point(h ? `epoch ${epochs[i]}\n${say(h.low)} to ${say(h.high)}` : `epoch ${epochs[i]}: not computed`, e.clientX, e.clientY);
  });
  canvas.addEventListener("pointerleave", () => point(null));
  figure.append(make("div", {class: "plot"}, make("div", {class: "ends", "aria-hidden": "true"}, make("span", {}, end(high)), make("span", {}, end(low))), canvas));
  return figure;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => repaint.forEach(f => f()));

/* -- sections -- */

const body = document.getElementById("body"), nav = document.getElementById("nav");
function section(id, title, lead) {
  const s = make("section", {id, "aria-labelledby": id + "-title"}, make("h2", {id: id + "-title"}, title));
  if (lead) s.append(make("p", {class: "lead"}, lead));
  body.append(s);
  nav.append(make("a", {href: "#" + id}, title));
  return s;
}

function head() {
  document.getElementById("title").textContent = data.title;
  const state = document.getElementById("state");
  const after = many(data.epochs, "epoch");
  const says = {finished: `finished after ${after}`, running: `${after} done when this was written`, interrupted: `interrupted after ${after}`};
  state.textContent = says[data.state] || `stopped after ${after}: ${data.state}`;
  state.className = data.state === "finished" ? "ok" : data.state === "interrupted" || data.state.startsWith("failed") ? "bad" : "";
  const summary = document.getElementById("summary"), tiles = make("div", {class: "tiles"});
  const c = data.curves;
  const best = data.best_epoch === null || !c.epoch ? -1 : c.epoch.indexOf(data.best_epoch);
  const [tested, ...others] = Object.entries(data.tested);
  if (tested) {
    const rest = others.map(([name, text]) => `${name.replace(/^test /, "")} ${text}`).join(", ");
    summary.append(make("div", {class: "tile tested"}, make("small", {}, tested[0]), make("b", {}, tested[1]), make("em", {}, rest)));
  }
  for (const name of Object.keys(c)) {
    if (name === "epoch" || name === "lr") continue;
    const values = c[name], last = values[values.length - 1], both = `validation_${plain(name)}` in c;
    tiles.append(make("div", {class: "tile"}, make("small", {}, (both && name === plain(name) ? "training " : "") + name.replace("validation_", "validation ") + ", last epoch"),
      make("b", {}, last === null ? "not finite" : number(name, last)),
      best >= 0 && best !== values.length - 1 ? make("em", {}, `best epoch ${data.best_epoch}: ${number(name, values[best])}`) : null));
  }
  if (tiles.children.length) summary.append(tiles);
  const facts = make("dl", {class: "facts"});
  for (const [name, text] of Object.entries(data.facts)) facts.append(make("dt", {}, name), make("dd", {}, text));
  summary.append(make("div", {class: "card"}, facts,
    make("details", {}, make("summary", {}, "The model, layer by layer"), make("pre", {tabindex: 0}, data.model))));
  for (const problem of data.problems) summary.append(make("p", {class: "note bad"}, "Could not be looked at: " + problem));
}

/* What failed: the lines of `backlit replay`, what to do, and the steps before. */
function told(lines) {
  return make("pre", {class: "told", tabindex: 0}, lines.flatMap(([style, text], i) => [i ? "\n" : null, make("span", {class: style}, text)]));
}
function account() {
  const a = data.account;
  if (!a) return;
  const failed = a.title.startsWith("Failed"), s = section("account", failed ? "What failed" : "Interrupted");
  const card = make("div", {class: "card account"}, make("h3", {}, a.title));
  if (a.cause.length) card.append(told(a.cause));
  if (a.cure) card.append(make("p", {}, make("b", {}, failed ? "Cure: " : ""), a.cure + "."));
  if (a.command) card.append(make("p", {}, make("b", {}, "Look at the step: "), make("code", {}, a.command), make("small", {}, " It is done again, bit for bit, and gone through gate by gate. For a run of your own script add file.py:function, which makes the model, the loss and the optimizer.")));
  if (a.findings.length) card.append(make("p", {}, make("b", {}, "What a diagnosis says of this step:")), told(a.findings));
  s.append(card);
  document.querySelector("main").prepend(s);
  if (!a.past) return;
  const table = make("table", {class: "rows"}, make("caption", {}, "The steps before"), make("tr", {}, a.past.headings.map(t => make("th", {scope: "col"}, t))));
  for (const row of a.past.rows) table.append(make("tr", {}, row.map(v => make("td", {class: "n"}, typeof v === "number" ? show(v) : v ?? "not finite"))));
  s.append(make("div", {class: "card scroll", style: "margin-top:10px", tabindex: 0, role: "region", "aria-label": "The steps before"}, table));
}

function curves() {
  const c = data.curves, names = Object.keys(c).filter(n => n !== "epoch");
  const s = section("curves", "Curves");
  if (!names.length) { s.append(make("p", {class: "note"}, "No epoch was finished when this page was written, so there is no curve.")); return; }
  const grid = make("div", {class: "grid"});
  const mark = data.best_epoch ? {x: data.best_epoch, text: "best"} : null;
  const order = [...new Set(names.map(plain))].sort((a, b) => (a === "lr") - (b === "lr"));
  for (const name of order) {
    const both = names.filter(n => plain(n) === name);
    const lines = both.map((n, i) => ({name: n.startsWith("validation_") ? "validation" : both.length > 1 ? "training" : name,
      x: c.epoch, y: c[n], colour: n.startsWith("validation_") ? COLOURS[1] : COLOURS[0], dash: n.startsWith("validation_") ? "7 3" : ""}));
    const percent = data.percent.includes(name);
    grid.append(chart(name === "lr" ? "learning rate" : name, lines, {percent, format: v => number(name, v), mark: name === "lr" ? null : mark,
      empty: "This was not finite in any epoch."}));
    const lost = both.flatMap(n => c[n].map((v, i) => v === null ? c.epoch[i] : null)).filter(v => v !== null);
    if (lost.length) grid.lastChild.append(make("p", {class: "note bad"}, `Not finite or not measured in ${lost.length === 1 ? "epoch" : "epochs"} ${[...new Set(lost)].slice(0, 8).join(", ")}${lost.length > 8 ? ", …" : ""}.`));
  }
  s.append(grid);
}

function ramp(i, n) { /* from the input (dark blue) to the output (orange), lightness and hue both change */
  const t = n > 1 ? i / (n - 1) : 0;
  return `hsl(${(215 - 190 * t).toFixed(0)} ${(70 + 15 * t).toFixed(0)}% var(--lightness, ${(38 + 8 * t).toFixed(0)}%))`;
}

function layers() {
  const looks = data.looks;
  if (!looks.length) return;
  const epochs = looks.map(l => l.epoch), layers = looks[looks.length - 1].layers;
  const s = section("layers", "Layers",
    "Taken from one recorded step on the same few examples after an epoch, beside the training. Epoch 0 is the state before the first step.");
  const more = looks[looks.length - 1].left_out;
  if (more) s.append(make("p", {class: "note"}, `Of ${layers.length + more} parameters the first and last ${layers.length / 2} are shown.`));
  const weights = layers.filter(l => l.shape.length >= 2), shown = weights.length ? weights : layers;
  const pick = (look, name) => look.layers.find(l => l.name === name) || {};
  const lines = what => shown.map((l, i) => ({name: l.name, x: epochs, y: looks.map(k => pick(k, l.name)[what] ?? null),
    colour: shown.length <= 6 ? COLOURS[i] : ramp(i, shown.length), dash: DASHES[i % DASHES.length]}));
  const grid = make("div", {class: "grid"});
  const e = v => v === null || v === undefined ? "–" : v === 0 ? "0" : v.toExponential(1).replace(/e([+-])/, (_, g) => "e" + (g === "-" ? "−" : ""));
  grid.append(chart("Gradient flow: norm of each weight's gradient", lines("gradient_norm"), {log: true, format: e}));
  grid.append(chart("Update-to-weight ratio of one step", lines("update"), {log: true, format: e, band: [3e-4, 3e-3], empty: "No update could be worked out beside this optimizer."}));
  grid.lastChild.append(make("p", {class: "legend"}, "The band is 3e−4 to 3e−3: about 1e−3 is usual for a healthy step."));
  s.append(grid);
  s.append(make("h2", {style: "font-size:14px;margin-top:18px"}, "Parameters: histograms over the epochs"));
  const list = make("div", {class: "layers"});
  for (const l of layers) list.append(make("div", {class: "card layer"}, make("h3", {}, l.name + " ", make("small", {}, l.shape.join(" × "))),
    make("div", {class: "pair"}, heat(l.name, "value", epochs, looks.map(k => pick(k, l.name).value || null)), heat(l.name, "gradient", epochs, looks.map(k => pick(k, l.name).gradient || null)))));
  s.append(list);
  const outputs = looks[looks.length - 1].outputs;
  if (!outputs.length) return;
  s.append(make("h2", {style: "font-size:14px;margin-top:18px"}, "Outputs of modules: histograms over the epochs"));
  const modules = make("div", {class: "layers"});
  outputs.forEach((o, i) => {
    const of = k => k.outputs[i] && k.outputs[i].name === o.name ? k.outputs[i] : {};
    modules.append(make("div", {class: "card layer"}, make("h3", {}, o.name),
      make("div", {class: "pair"}, heat(o.name, "value", epochs, looks.map(k => of(k).value || null)), heat(o.name, "gradient", epochs, looks.map(k => of(k).gradient || null)))));
  });
  s.append(modules);
}

function matrix(r) {
  const n = r.classes.length, table = make("table", {class: "matrix"}, make("caption", {}, "True class in rows, taken for in columns. Shades: share of the row."));
  table.append(make("tr", {}, make("th", {}), r.classes.map(c => make("th", {scope: "col"}, c)), make("th", {scope: "col", class: "sum"}, "found")));
  r.confusion.forEach((row, i) => {
    const sum = row.reduce((a, b) => a + b, 0);
    table.append(make("tr", {}, make("th", {scope: "row"}, r.classes[i]), row.map((v, j) => {
      const share = sum ? v / sum : 0, cell = make("td", {class: (v ? "" : "zero") + (i === j ? " diagonal" : ""), title: v ? `${v} of ${sum} “${r.classes[i]}” taken for “${r.classes[j]}” (${(100 * share).toFixed(1)} %)` : null}, v || "·");
      if (v) { cell.style.background = `rgba(var(${i === j ? "--heat" : "--heat-grad"}), ${i === j ? 0.08 + 0.42 * share : Math.min(0.75, 0.18 + 1.2 * share)})`; }
      return cell;
    }), make("td", {class: "sum"}, sum ? (100 * row[i] / sum).toFixed(1) + " %" : "–")));
  });
  return make("div", {class: "card scroll fit", tabindex: 0, role: "region", "aria-label": `Confusion matrix of ${n} classes`}, table);
}

function byLabel(rows) {
  const table = make("table", {class: "rows"}, make("tr", {}, ["label", "examples", "precision", "recall", "F1"].map(t => make("th", {scope: "col"}, t))));
  for (const [name, count, ...ratios] of rows) table.append(make("tr", {}, make("td", {}, name), make("td", {class: "n"}, count.toLocaleString("en")),
    ratios.map(v => make("td", {class: "n"}, v === null ? "–" : (100 * v).toFixed(1) + " %"))));
  return make("div", {class: "card scroll fit", tabindex: 0, role: "region", "aria-label": "How well each label is found"}, table);
}

function examples() {
  const r = data.results;
  if (r.kind === "none") {
    section("examples", "Examples").append(make("p", {class: "note"}, `No confusion matrix and no mistakes: ${r.why}.`));
    return;
  }
  const first = r.of > r.examples ? `the first ${r.examples.toLocaleString("en")} of ${many(r.of, "example")}` : many(r.examples, "example");
  if (r.kind === "labels") {
    const s = section("confusion", r.by_label ? "Labels" : "Confusion matrix", `${r.right.toLocaleString("en")} of ${many(r.total, "label")} right, from ${first}.` +
      (r.classes_of > r.classes.length ? ` Of ${r.classes_of} classes the ${r.classes.length} that are confused most often are shown.` : ""));
    if (r.unusable) s.append(make("p", {class: "note bad"}, `${many(r.unusable, "prediction was", "predictions were")} not finite and not counted.`));
    if (r.total) s.append(r.by_label ? byLabel(r.by_label) : matrix(r));
  } else {
    const s = section("errors", "Errors", `Mean absolute error ${show(r.mean_absolute)}, root mean square ${show(r.root_mean_square)}, R² ${show(r.r2)}; from ${first}.`);
    if (r.unusable) s.append(make("p", {class: "note bad"}, `${many(r.unusable, "prediction was", "predictions were")} not finite and not counted.`));
    if (r.points.length) s.append(make("div", {class: "grid"}, scatter(r), residuals(r)));
  }
  const title = r.kind === "labels" ? "Worst mistakes" : "Largest errors";
  const s = section("mistakes", title, r.kind === "labels" && r.worst.length ? `Sure and wrong first: ${r.worst.length} of ${many(r.wrong, "example")} with a mistake.` : "");
  if (!r.worst.length) { s.append(make("p", {class: "note"}, r.kind === "labels" ? "There is no mistake among these examples." : "There is no error among these examples.")); return; }
  if (r.worst[0].picture) {
    s.append(make("ul", {class: "worst"}, r.worst.map(w => make("li", {},
      make("img", {src: w.picture, alt: `Example ${w.row}: it is ${w.truth}, the network says ${w.says}`, loading: "lazy"}),
      make("div", {class: "says"}, "says ", make("b", {}, w.says), w.sure === undefined ? null : make("small", {}, ` ${(100 * w.sure).toFixed(0)} %`)),
      make("div", {class: "is"}, "is ", make("b", {}, w.truth), make("small", {}, ` · no. ${w.row}`))))));
    return;
  }
  const table = make("table", {class: "rows"}, make("tr", {}, ["no.", "example", "is", "network says", r.kind === "labels" ? "loss" : "error"].map(t => make("th", {scope: "col"}, t))));
  for (const w of r.worst) table.append(make("tr", {}, make("td", {class: "n"}, w.row + (w.where ? " [" + w.where.join(", ") + "]" : "")), make("td", {class: "text"}, w.tokens ? tokens(w) : w.text),
    make("td", {class: "n"}, w.truth), make("td", {class: "n"}, w.says + (w.sure === undefined ? "" : ` (${(100 * w.sure).toFixed(0)} %)`)), make("td", {class: "n"}, show(w.loss))));
  s.append(make("div", {class: "card scroll", tabindex: 0, role: "region", "aria-label": title}, table));
}

function graph() {
  if (!data.graph) return;
  const s = section("graph", "Graph", "The way of one example through the network to its loss: values in green, gradients in red. It folds, searches and steps; Tab leads into it and out of it.");
  const frame = make("iframe", {title: "Computational graph of one example", loading: "lazy"});
  s.append(frame);
  const seen = new IntersectionObserver(entries => {
    if (entries.some(e => e.isIntersecting)) { seen.disconnect(); frame.srcdoc = data.graph; }
  }, {rootMargin: "400px"});
  seen.observe(frame);
}

head();
account();
curves();
everywhere();
samples();
layers();
examples();
graph();
