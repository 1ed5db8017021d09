"use strict";
// What if: in a notebook's widget the panel has a line for another value of a node and one for
// another gradient at it. What is typed goes to Python, which sends a new page; see widget.py.
const editing = (D) => {
let state = null, changed = () => {};          // null: nobody listens, so there are no lines
const send = (edit) => window.parent.postMessage({backlitEdit: edit}, "*");
window.addEventListener("message", (e) => {
  if (window.parent === window || e.source !== window.parent || !e.data || !e.data.backlitEdits) return;
  state = e.data.backlitEdits;
  changed();
});
function section(n) {
  const given = D.given[n] ? `<div class="row"><b>◆ ${escape(D.given[n].replace(";", " and"))} set</b></div>` : "";
  if (!state || n >= D.own) return given;
  const line = (what, word) => `<label>${word} <input name="${what}" autocomplete="off" spellcheck="false" placeholder="7 or [0, 1] = 5"></label>`;
  const gradient = D.nodes.upstream[n] ? line("upstream", "gradient") : "";
  const undo = state.count ? '<button type="button" data-undo>Undo</button>' : "";
  return `${given}<h3>What if</h3><form class="edits">${line("value", "value")}${gradient}<div class="buttons"><button>Set</button>${undo}</div></form>` +
    `<div class="row said${state.bad ? " bad" : ""}" role="status">${escape(state.said || "")}</div>`;
}
function mount(panel, n) {
  const form = panel.querySelector("form.edits");
  if (!form) return;
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    for (const input of form.querySelectorAll("input")) if (input.value.trim()) send({node: n, what: input.name, text: input.value});
  });
  const undo = form.querySelector("[data-undo]");
  if (undo) undo.addEventListener("click", () => send({undo: true}));
}
return {section, mount, onchange: (f) => { changed = f; }};
};
