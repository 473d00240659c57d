"use strict";
const at = id => document.getElementById(id);
const { key, cases, pictures, classes, earlier } = JSON.parse(at("data").textContent);
const places = new Map(cases.map((_, k) => [pictures[k].file, k]));
const MOST = 8;
// Each decision in its order, file and label, "" to leave it out: of a file the last one counts.
// Those of `others` are of the same set too, but no case here: of an earlier audit.
let log = [], others = [], now = 0, matches = [], marked = -1;

function make(tag, inside, properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...[inside].flat());
  return element;
}

function describe(k) {
  const decisions = new Map(log), { file, label } = pictures[k];
  if (!decisions.has(file)) return "undecided";
  const decided = decisions.get(file);
  return decided === "" ? "left out" : decided === label ? `kept as ${label}` : `taken as ${decided}`;
}

const write = share => share < 0.001 ? "under 0.001" : share.toFixed(3);

function draw(id, k, alt) {
  const { label, part, data } = pictures[k];
  at(id).replaceChildren(
    make("figcaption", [make("strong", label), ` · ${part === "train" ? "training" : part}`]),
    data ? make("img", [], { src: data, alt }) : make("p", "This file can't be read any more."));
}

function show(k, last = "") {
  now = k;
  const { suggested, self_confidence, probability, finding, reason, beside } = cases[k];
  const { file, label } = pictures[k], isCopy = finding.includes("possible copy");
  const nearest = isCopy ? "what it may be a copy of" : `the nearest picture of ${suggested}`;
  at("case").textContent = `Case ${k + 1} of ${cases.length}: ${finding.join(", ")}`;
  at("last").textContent = last;
  draw("picture", k, "picture to check");
  at("beside").replaceChildren();
  if (beside >= 0) draw("beside", beside, nearest);
  at("keep").firstChild.textContent = `Keep ${label}`;
  at("take").firstChild.textContent = suggested === label ? "No other is suggested" : `Take ${suggested}`;
  at("take").disabled = suggested === label;
  const own = `${label}, its label: ${write(self_confidence)}`;
  const facts = [
    ["Picture", file],
    ["Beside it", beside < 0 ? "nothing to compare it with" : `${pictures[beside].file}, ${nearest}`],
    ["Probability", suggested === label ? own : `${suggested}, suggested: ${write(probability)}; ${own}`],
    ["Known to 01", reason],
    ["Your decision", describe(k)]];
  at("facts").replaceChildren(...facts.filter(([, text]) => text)
    .flatMap(([name, text]) => [make("dt", name), make("dd", text)]));
  const count = new Map(log).size;
  at("count").textContent = `${count} of ${cases.length} decided`;
  at("progress").value = count;
  at("elsewhere").textContent = others.length
    ? `It has ${others.length} more, decided in an earlier audit of these pictures.` : "";
  at("undo").disabled = !log.length;
  at("download").disabled = !log.length && !earlier.length && !others.length;
  [...at("all").children].forEach((row, k) => {
    row.firstChild.textContent = `${pictures[k].file}: ${describe(k)}`;
  });
  closeChoice();
}

function load() {
  let kept = "[]";
  try {
    kept = localStorage.getItem(key) ?? kept;
  } catch {
    at("unkept").hidden = false;
  }
  try {
    const known = JSON.parse(kept).filter(([file, label]) => file && ["", ...classes].includes(label));
    log = known.filter(([file]) => places.has(file));
    others = known.filter(([file]) => !places.has(file));
  } catch { /* Damaged: as if nothing had been decided. */ }
}

function save() {
  try {
    localStorage.setItem(key, JSON.stringify([...others, ...log]));
  } catch {
    at("unkept").hidden = false;
  }
}

function decide(label) {
  const { file } = pictures[now], done = now;
  log.push([file, label]);
  save();
  const decisions = new Map(log);
  const order = cases.map((_, k) => (done + 1 + k) % cases.length);
  const following = order.find(k => !decisions.has(pictures[k].file));
  const end = following === undefined ? " All are decided: download the corrections." : "";
  show(following ?? done, `${file}: ${describe(done)}.${end}`);
}

function undo() {
  const [file] = log.pop(), k = places.get(file);
  save();
  show(k, `Undone. ${file}: ${describe(k)}.`);
}

// To find is to ignore case and accents; what begins so comes before what merely has it.
const fold = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

function search() {
  const typed = fold(at("find").value.trim()), found = classes.filter(name => fold(name).includes(typed));
  const rank = name => fold(name) === typed ? 0 : fold(name).startsWith(typed) ? 1 : 2;
  matches = found.sort((a, b) => rank(a) - rank(b)).slice(0, MOST);
  const more = found.length - matches.length;
  at("rest").textContent = more ? `and ${more} more` : found.length ? "" : "No class is called so.";
  mark(typed && matches.length ? 0 : -1);
}

function mark(k) {
  marked = k;
  at("found").replaceChildren(...matches.map((name, k) => {
    const option = make("li", name, { id: `option-${k}`, role: "option", onclick: () => decide(name) });
    option.setAttribute("aria-selected", k === marked);
    return option;
  }));
  at("found").hidden = !matches.length;
  at("find").setAttribute("aria-expanded", matches.length > 0);
  if (marked < 0) at("find").removeAttribute("aria-activedescendant");
  else at("find").setAttribute("aria-activedescendant", `option-${marked}`);
}

function openChoice() {
  at("choose").hidden = false;
  at("other").setAttribute("aria-expanded", true);
  at("find").value = "";
  search();
  at("find").focus();
  at("choose").scrollIntoView({ block: "nearest" });
}

function closeChoice() {
  const isInside = at("choose").contains(document.activeElement);
  at("choose").hidden = true;
  at("other").setAttribute("aria-expanded", false);
  if (isInside) at("other").focus();
}

function download() {
  const quote = text => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const rows = [["file", "label"], ...new Map([...earlier, ...others, ...log])];
  const text = rows.map(row => `${row.map(quote).join(",")}\n`).join("");
  const href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  make("a", [], { href, download: "corrections.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}

const step = by => show((now + by + cases.length) % cases.length);
const actions = {
  keep: () => decide(pictures[now].label),
  take: () => decide(cases[now].suggested),
  leave: () => decide(""),
  other: () => at("choose").hidden ? openChoice() : closeChoice(),
  previous: () => step(-1),
  next: () => step(1),
  undo,
  download,
};
for (const [id, action] of Object.entries(actions)) at(id).onclick = action;

at("find").oninput = search;
at("find").onkeydown = event => {
  const move = { ArrowDown: 1, ArrowUp: -1 }[event.key], count = matches.length;
  if (event.key === "Escape") closeChoice();
  else if (event.key === "Enter" && marked >= 0) decide(matches[marked]);
  else if (move && count) mark((Math.max(marked, move < 0 ? 0 : -1) + move + count) % count);
  else return;
  event.preventDefault();
};

const keys = { k: "keep", s: "take", o: "other", l: "leave", u: "undo" };
Object.assign(keys, { arrowleft: "previous", arrowright: "next" });
document.addEventListener("keydown", event => {
  const id = keys[event.key?.toLowerCase()];
  const isHeld = event.ctrlKey || event.altKey || event.metaKey || event.repeat;
  if (!id || isHeld || event.target === at("find") || !at("keys").checked) return;
  // The letter must not be typed into the field that it opens.
  event.preventDefault();
  at(id).click();
});

function jump(k) {
  show(k);
  at("case").focus();
}

at("all").append(...cases.map((_, k) => make("li", make("button", "", { onclick: () => jump(k) }))));

load();
// The same page in another tab decides, too.
addEventListener("storage", event => {
  if (event.key !== key) return;
  load();
  show(now);
});
const first = cases.findIndex((_, k) => !new Map(log).has(pictures[k].file));
show(Math.max(first, 0));
