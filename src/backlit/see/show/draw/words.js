"use strict";
// How texts and numbers stand on the page: for all scripts after this one.
const escape = (s) => String(s).replace(/[&<>"]/g, (c) => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}[c]));
// A number as it came in the data, which has none that is not finite.
const real = (x) => x === "nan" ? NaN : x === "inf" ? Infinity : x === "-inf" ? -Infinity : x;
const inWords = (v) => {
  if (v === null || v === undefined) return "—";
  if (!Number.isFinite(v)) return Number.isNaN(v) ? "nan" : v > 0 ? "∞" : "−∞";
  return String(+v.toPrecision(3)).replace(/-/g, "−").replace("e+", "e");
};
