"use strict";
/* Pictures of what a network says: points and planes, curves, residuals, texts. */

const SHAPES = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
  (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}Z`,
  (x, y, r) => `M${x} ${y - 1.3 * r}L${x + 1.2 * r} ${y + r}H${x - 1.2 * r}Z`,
  (x, y, r) => `M${x} ${y - 1.4 * r}L${x + 1.4 * r} ${y}L${x} ${y + 1.4 * r}L${x - 1.4 * r} ${y}Z`,
  (x, y, r) => `M${x} ${y + 1.3 * r}L${x + 1.2 * r} ${y - r}H${x - 1.2 * r}Z`,
  (x, y, r) => `M${x - r} ${y - r}L${x + r} ${y + r}M${x + r} ${y - r}L${x - r} ${y + r}`,
];
function bytes(text) { return Uint8Array.from(atob(text), c => c.charCodeAt(0)); }
function rgb(name) {
  const probe = make("span", {style: `color:var(${name})`});
  document.body.append(probe);
  const found = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  probe.remove();
  return found;
}
function mixed(a, b, share) { return a.map((v, i) => v + (b[i] - v) * share); }

/* Two axes: where a point lies, and the SVG with round numbers beside it. */
function axes(spanX, spanY, options = {}) {
  const W = options.width || 560, H = options.height || 420, R = 14, T = 12, narrow = innerWidth < 640, B = narrow ? 52 : 42;
  const wide = ([a, b]) => b > a ? [a, b] : [a - 1, b + 1];
  const [x0, x1] = wide(spanX), [y0, y1] = wide(spanY);
  const rows = ticks(y0, y1, narrow ? 3 : 5).map(t => [t, show(+t.toPrecision(6))]), columns = ticks(x0, x1, narrow ? 3 : 5).map(t => [t, show(+t.toPrecision(6))]);
  const L = room(rows.map(([, text]) => text), narrow);
  const X = v => L + (v - x0) / (x1 - x0) * (W - L - R), Y = v => T + (y1 - v) / (y1 - y0) * (H - T - B);
  const svg = make("svg", {class: "chart", viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": options.label});
  for (const [t, text] of rows) svg.append(options.bare ? "" : make("line", {class: "g", x1: L, x2: W - R, y1: Y(t), y2: Y(t)}), make("text", {x: L - 6, y: Y(t) + 4, "text-anchor": "end"}, text));
  for (const [t, text] of columns) svg.append(make("text", {x: X(t), y: H - B + (narrow ? 18 : 15), "text-anchor": "middle"}, text));
  svg.append(make("text", {x: W - R, y: H - 6, "text-anchor": "end"}, options.across || ""), make("text", {x: 2, y: H - 6}, options.up || ""));
  return {svg, X, Y, left: L, right: W - R, top: T, bottom: H - B};
}
function spanOf(values) {
  let low = Math.min(...values), high = Math.max(...values);
  const edge = 0.04 * (high - low) || 1;
  return [low - edge, high + edge];
}

/* -- numbers -- */

function scatter(r) {
  const all = r.points.flat(), span = spanOf(all);
  const a = axes(span, span, {label: `Predicted against true, ${many(r.points.length, "point")}; on the diagonal they agree`, across: "true →", up: "↑ predicted"});
  a.svg.append(make("line", {class: "mark", x1: a.X(span[0]), y1: a.Y(span[0]), x2: a.X(span[1]), y2: a.Y(span[1])}));
  for (const [x, y] of r.points) a.svg.append(make("circle", {cx: a.X(x).toFixed(1), cy: a.Y(y).toFixed(1), r: 3, style: "fill:var(--c0)", "fill-opacity": 0.55}));
  return make("div", {class: "card"}, make("h3", {}, "Predicted against true"), a.svg);
}

function residuals(r) {
  const rest = r.points.map(([truth, said]) => [said, said - truth]), most = Math.max(...rest.map(p => Math.abs(p[1])), 1e-12) * 1.06;
  const a = axes(spanOf(rest.map(p => p[0])), [-most, most], {height: 300, label: `Residuals, predicted less true, against the prediction, ${many(rest.length, "point")}; a good fit has no pattern around 0`, across: "predicted →", up: "↑ predicted − true"});
  a.svg.append(make("line", {class: "mark", x1: a.left, x2: a.right, y1: a.Y(0), y2: a.Y(0)}));
  for (const [x, y] of rest) a.svg.append(make("circle", {cx: a.X(x).toFixed(1), cy: a.Y(y).toFixed(1), r: 3, style: "fill:var(--c1)", "fill-opacity": 0.55}));
  const card = make("div", {class: "card"}, make("h3", {}, "Residuals: a good fit leaves no pattern"), a.svg);
  const h = r.residuals;
  if (h && h.counts.length > 1) {
    const b = axes([h.low, h.high], [0, Math.max(...h.counts) * 1.05], {height: 190, label: `How often which residual occurs: from ${show(h.low)} to ${show(h.high)}`, across: "predicted − true →", up: "↑ examples"});
    const width = (h.high - h.low) / h.counts.length;
    h.counts.forEach((c, i) => { if (c) b.svg.append(make("rect", {x: b.X(h.low + i * width) + 0.5, width: Math.max(1, b.X(width) - b.X(0) - 1), y: b.Y(c), height: b.bottom - b.Y(c), style: "fill:var(--c1)", "fill-opacity": 0.75})); });
    b.svg.append(make("line", {class: "mark", x1: b.X(0), x2: b.X(0), y1: b.top, y2: b.bottom}));
    card.append(b.svg);
  }
  return card;
}

/* -- all over the plane -- */

function chosen(looks, draw) { /* a slider over the epochs that were looked at; the last one at first */
  const label = make("output", {}), slider = make("input", {type: "range", min: 0, max: looks.length - 1, value: looks.length - 1, "aria-label": "Epoch"});
  const go = () => { const look = looks[+slider.value]; label.textContent = `epoch ${look.epoch}`; slider.setAttribute("aria-valuetext", label.textContent); draw(look); };
  slider.addEventListener("input", go);
  repaint.push(go);
  go();
  return looks.length > 1 ? make("div", {class: "slide"}, slider, label) : make("div", {class: "slide"}, label);
}

function everywhere() {
  const looks = data.looks.filter(l => l.everywhere), places = data.results.places;
  if (!looks.length || !places) return;
  const {spans} = looks[looks.length - 1].everywhere, plane = spans.length === 2, names = data.results.classes;
  const s = section("everywhere", plane ? "Plane" : "Fit", plane ? (names ? "What the network says of every point: the colour is the class, its strength how sure. Examples are drawn with their true class; those taken for another have a bold edge." : "What the network says of every point, and the examples with what is true of them, in the same colours.") : "What the network says of every input, and the examples.");
  const card = make("div", {class: "card", style: "max-width:640px"});
  s.append(card);
  if (plane) { card.append(...planeOf(looks, spans, places, names)); return; }
  const lines = looks.map(l => l.everywhere.line).flat().filter(v => v !== null), values = places.map(p => p[1]);
  const holder = make("div");
  card.append(holder);
  card.append(chosen(looks, look => {
    const a = axes(spans[0], spanOf([...values, ...lines.filter(v => v >= 2 * Math.min(...values) - Math.max(...values) && v <= 2 * Math.max(...values) - Math.min(...values))]), {label: `The network's curve after epoch ${look.epoch}, and ${many(places.length, "example")}`, across: "input →", up: "↑ output"});
    for (const [x, y] of places) a.svg.append(make("circle", {cx: a.X(x).toFixed(1), cy: a.Y(y).toFixed(1), r: 3, style: "fill:var(--c5)", "fill-opacity": 0.5}));
    const line = look.everywhere.line, [low, high] = look.everywhere.spans[0];
    let d = "", down = false;
    line.forEach((v, i) => { if (v === null) { down = false; return; } d += `${down ? "L" : "M"}${a.X(low + (high - low) * i / (line.length - 1)).toFixed(1)} ${Math.max(a.top - 9, Math.min(a.bottom + 9, a.Y(v))).toFixed(1)}`; down = true; });
    a.svg.append(make("path", {class: "l", d, style: "stroke:var(--c0);stroke-width:2.6"}));
    holder.replaceChildren(a.svg);
  }));
}

function planeOf(looks, spans, places, names) {
  const holder = make("div", {class: "plane"}), side = 48;
  const named = names && names.length === 2 && names[0] === "orange" && names[1] === "blue";  // as they are called
  const colour = c => names.length <= 6 ? rgb(`--c${named ? 1 - c : c % 6}`) : hue(c / names.length);
  const found = places.map(([x, y, truth]) => ({x, y, truth}));
  const all = found.map(p => p.truth), low = Math.min(...all, ...looks.map(l => l.everywhere.low ?? Infinity)), high = Math.max(...all, ...looks.map(l => l.everywhere.high ?? -Infinity));
  const blue = () => rgb("--c0"), orange = () => rgb("--c1"), paper = () => rgb("--card-solid");
  const ofNumber = v => { const t = high > low ? 2 * (v - low) / (high - low) - 1 : 0; return mixed(paper(), t < 0 ? blue() : orange(), Math.min(1, Math.abs(t))); };
  const at = (e, x, y) => { const i = Math.round((x - spans[0][0]) / (spans[0][1] - spans[0][0]) * (side - 1)), j = Math.round((y - spans[1][0]) / (spans[1][1] - spans[1][0]) * (side - 1)); return e[Math.max(0, Math.min(side - 1, j)) * side + Math.max(0, Math.min(side - 1, i))]; };
  const slider = chosen(looks, look => {
    const e = look.everywhere, canvas = make("canvas", {width: side, height: side});
    const c = canvas.getContext("2d"), picture = c.createImageData(side, side), base = paper();
    const guess = e.guess ? bytes(e.guess) : bytes(e.values), sure = e.sure ? bytes(e.sure) : null;
    const colours = e.guess ? names.map((_, k) => colour(k)) : null;
    for (let j = 0; j < side; j++) for (let i = 0; i < side; i++) {
      const k = j * side + i, to = 4 * ((side - 1 - j) * side + i), floor = e.guess ? 255 / names.length : 0;
      const here = e.guess ? mixed(base, colours[guess[k]] || base, 0.08 + 0.5 * Math.max(0, (sure[k] - floor) / (255 - floor))) : mixed(base, ofNumber(e.low + (e.high - e.low) * guess[k] / 255), 0.75);
      picture.data.set([...here.slice(0, 3).map(Math.round), 255], to);
    }
    c.putImageData(picture, 0, 0);
    const a = axes(spans[0], spans[1], {bare: true, label: `What the network says all over the plane after epoch ${look.epoch}, and ${many(places.length, "example")}`, across: "input 1 →", up: "↑ input 2"});
    const image = document.createElementNS("http://www.w3.org/2000/svg", "image");
    for (const [k, v] of Object.entries({href: canvas.toDataURL(), x: a.left, y: a.top, width: a.right - a.left, height: a.bottom - a.top, preserveAspectRatio: "none"})) image.setAttribute(k, v);
    a.svg.append(image);
    for (const p of found) {
      const wrong = e.guess && at(guess, p.x, p.y) !== p.truth, fill = e.guess ? `rgb(${colour(p.truth).slice(0, 3).map(Math.round)})` : `rgb(${ofNumber(p.truth).slice(0, 3).map(Math.round)})`;
      a.svg.append(make("path", {class: wrong ? "dot wrong" : e.guess ? "dot" : "dot value", d: SHAPES[e.guess ? p.truth % 6 : 0](a.X(p.x), a.Y(p.y), wrong ? 4.6 : 3.4), style: `fill:${fill}`}));
    }
    holder.replaceChildren(a.svg);
  });
  const legend = make("ul", {class: "legend"});
  if (names) names.forEach((name, k) => { if (k < 12) legend.append(make("li", {}, make("svg", {viewBox: "0 0 26 12", "aria-hidden": "true"}, make("path", {class: "dot", d: SHAPES[k % 6](13, 6, 4.4), style: `fill:rgb(${colour(k).slice(0, 3).map(Math.round)})`})), name)); });
  else legend.append(make("li", {}, make("span", {class: "ramp", "aria-hidden": "true"}), `${show(+low.toPrecision(3))} to ${show(+high.toPrecision(3))}`));
  return [holder, slider, legend];
}
function hue(t) { const f = n => { const k = (n + 12 * t) % 12; return 255 * (0.45 - 0.35 * Math.max(-1, Math.min(k - 3, 9 - k, 1))); }; return [f(0), f(8), f(4)]; }

/* -- texts -- */

function visible(token) { return token === " " ? "␣" : token.replace(/\n/g, "⏎").replace(/\t/g, "⇥"); }
function tokens(w) {
  const space = w.tokens.some(t => t.length > 1), parts = [];
  if (w.cut[0]) parts.push("… ");
  w.tokens.forEach((t, i) => {
    parts.push(i === w.at ? make("mark", {title: `token ${w.from + i}: is ${w.truth}, the network says ${w.says}`}, visible(t)) : make("span", {class: "token"}, space ? t : visible(t)));
    if (space) parts.push(" ");
  });
  if (w.cut[1]) parts.push(" …");
  return make("div", {class: "tokens"}, parts);
}

function samples() {
  const looks = data.looks.filter(l => l.samples);
  if (!looks.length) return;
  const s = section("samples", "Written", "What the network writes after an epoch, beside the training, always from the same beginning.");
  const holder = make("div"), card = make("div", {class: "card"}, holder);
  card.append(chosen(looks, look => holder.replaceChildren(...look.samples.map(text => make("pre", {class: "sample", tabindex: 0}, text)))));
  s.append(card);
}
