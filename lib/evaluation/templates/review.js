const {key, cases, pictures, classes, earlier, folder} = JSON.parse(at("data").textContent);
const FINDINGS = {"label?": "label to check", "copy?": "possible copy", outlier: "unlike its class", "": "next of the ranking"};
const IN_A_ROW = 8;
const numbers = new Map(cases.map(({file}, k) => [file, k]));
// File to the row that was decided: file, label ("" to leave it out), digest; of an earlier audit of this set, too.
let decisions = new Map(), now = 0, row = [];
const steps = [];  // each has the case at which something was decided, and the rows before it

function describe(file) {
  const {label} = pictures[file], decided = decisions.get(file)?.[1];
  if (decided === undefined) return "undecided";
  return decided === "" ? "left out" : decided === label ? `kept as ${label}` : `taken as ${decided}`;
}

const write = share => share < 0.001 ? "under 0.001" : share.toFixed(3);
const byFile = rows => new Map(rows.map(row => [row[0], row]));
const isDecided = ({file}) => decisions.has(file);

function draw(id, file, what) {
  at(id).hidden = !file;
  if (!file) return;
  const {label, part, data} = pictures[file];
  at(id).replaceChildren(
    make("figcaption", {}, make("strong", {}, make("bdi", {}, label)), ` · ${part === "train" ? "training" : part} · ${what}`),
    data ? enlarge(file, what) : make("p", {}, "This file can't be read any more."));
}

function enlarge(file, alt) {
  const image = make("img", {src: pictures[file].data, alt});
  return make("button", {className: "picture", title: "As large as the window", onclick: () => zoom(file)}, image);
}

// The file itself, where it lies; where it doesn't, or is of a kind that no browser shows, the small one.
function zoom(file) {
  const image = make("img", {alt: file});
  image.addEventListener("error", () => { image.src = pictures[file].data; }, {once: true});
  image.src = `${folder}/${file}`.split("/").map(encodeURIComponent).join("/");
  at("size").replaceChildren(image);
  at("zoom").className = "";
  at("zoom").showModal();
}

// From all of a picture to each of its pixels, about the place that was clicked, and back.
function resize({clientX, clientY}) {
  const box = at("zoom");
  box.classList.toggle("whole");
  box.scrollTo((box.scrollWidth - box.clientWidth) * clientX / innerWidth, (box.scrollHeight - box.clientHeight) * clientY / innerHeight);
}

// Undecided cases of the same label and suggestion.
function findRow({file, suggested}) {
  const isSame = one => pictures[one.file].label === pictures[file].label && one.suggested === suggested;
  return cases.filter(one => one.file !== file && !isDecided(one) && isSame(one) && pictures[one.file].data)
    .slice(0, IN_A_ROW).map(one => one.file);
}

function show(k, last = "") {
  now = k;
  const focused = document.activeElement;
  const {file, suggested, self_confidence, probability, finding, reason, neighbour, own} = cases[k];
  const {label} = pictures[file], isOther = suggested !== label, isCopy = finding.includes("copy?");
  const found = finding.split("; ").map(word => FINDINGS[word]).join(", ");
  const nearest = isCopy ? "what it may be a copy of" : `nearest of ${isOther ? "the suggestion" : "its own label"}`;
  at("case").textContent = `Case ${k + 1}: ${found}`;
  at("last").textContent = last;
  draw("picture", file, "picture to check");
  draw("beside", neighbour, nearest);
  draw("own", own === neighbour ? "" : own, "nearest of its own label");
  at("keep").firstChild.textContent = `Keep ${label}`;
  at("take").firstChild.textContent = isOther ? `Take ${suggested}` : "No other is suggested";
  at("take").disabled = !isOther;
  at("withdraw").disabled = !isDecided(cases[k]);
  at("back").disabled = !steps.length;
  const sure = `${label}, its label: ${write(self_confidence)}`;
  const facts = [
    ["Picture", file],
    ["Beside it", [...new Set([neighbour, own])].filter(Boolean).join(", ") || "nothing to compare it with"],
    ["Probability", isOther ? `${suggested}, suggested: ${write(probability)}; ${sure}` : sure],
    ["Known to 01", reason],
    ["Your decision", describe(file)]];
  at("facts").replaceChildren(...facts.filter(([, text]) => text)
    .flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
  at("progress").value = cases.filter(isDecided).length;
  at("count").textContent = `${at("progress").value} of ${cases.length} decided`;
  at("download").disabled = !decisions.size && !earlier.length;
  at("find").value = "";
  row = findRow(cases[k]);
  at("row").hidden = !row.length;
  at("every").checked = false;
  at("alike").replaceChildren(...row.map(one => enlarge(one, one)));
  // Who presses Enter once more decides nothing.
  if (focused.disabled) at("next").focus();
}

function list(file) {
  const button = at("all").children[numbers.get(file)]?.firstChild;
  if (button) button.textContent = `${file}: ${describe(file)}`;
}

// What another tab has decided counts, too. A browser that keeps nothing has it here alone.
function recall() {
  try {
    if (at("unkept").hidden) decisions = byFile(JSON.parse(localStorage.getItem(key) ?? "[]"));
  } catch {
    at("unkept").hidden = false;
  }
}

// Put these rows in place of those of some files, and return what was there; a row may be undefined.
function put(rows) {
  recall();
  const before = rows.map(([file]) => [file, decisions.get(file)]);
  for (const [file, decision] of rows) {
    decision ? decisions.set(file, decision) : decisions.delete(file);
    list(file);
  }
  try {
    localStorage.setItem(key, JSON.stringify([...decisions.values()]));
  } catch {
    at("unkept").hidden = false;
  }
  return before;
}

function withdraw() {
  const {file} = cases[now];
  steps.push({k: now, before: put([[file, undefined]])});
  show(now, `${file}: ${describe(file)}.`);
}

function decide(label) {
  const {file} = cases[now], more = at("every").checked ? row : [];
  const rows = [file, ...more].map(one => [one, [one, label, pictures[one].digest]]);
  steps.push({k: now, before: put(rows)});
  const order = cases.map((_, k) => (now + 1 + k) % cases.length);
  const following = order.find(k => !isDecided(cases[k]));
  const end = following === undefined ? " All are decided: download the corrections." : "";
  show(following ?? now, `${more.length ? `${file} and ${more.length} more` : file}: ${describe(file)}.${end}`);
}

function goBack() {
  const {k, before} = steps.pop();
  put(before);
  show(k, `One step back: ${before.length > 1 ? `${before.length} pictures are` : `${cases[k].file} is`} as before.`);
}

function choose() {
  const name = at("find").value;
  at("unknown").hidden = !name || classes.includes(name);
  if (!classes.includes(name)) return;
  at("find").blur();
  decide(name);
}

function download() {
  recall();
  saveTable("corrections.csv", [["file", "label", "digest"], ...new Map([...byFile(earlier), ...decisions]).values()]);
}

const step = by => show((now + by + cases.length) % cases.length);
const actions = {
  keep: () => decide(pictures[cases[now].file].label), take: () => decide(cases[now].suggested), leave: () => decide(""), withdraw,
  back: goBack, previous: () => step(-1), next: () => step(1), size: resize, close: () => at("zoom").close(), download,
};
for (const [id, action] of Object.entries(actions)) at(id).onclick = action;
// Taken from the list, not typed: "cat" may be the beginning of "catfish".
at("find").oninput = event => event.inputType === "insertReplacementText" && choose();
at("find").onkeydown = event => {
  if (event.key === "Enter") choose();
  if (event.key === "Escape") at("find").blur();
};

// By the letters on the keys; on keyboards of other scripts by their place.
const keys = {k: "keep", s: "take", l: "leave", w: "withdraw", a: "every", arrowleft: "previous", arrowright: "next"};
document.addEventListener("keydown", event => {
  if (event.altKey || event.repeat || !at("keys").checked || event.target === at("find")) return;
  const name = (/^[a-z]$/i.test(event.key) ? event.key : event.code.replace("Key", "")).toLowerCase();
  const isOpen = at("zoom").open;
  if (event.ctrlKey || event.metaKey) {
    if (name !== "z" || isOpen) return;
    at("back").click();
  } else if (name === "z") isOpen ? at("zoom").close() : zoom(cases[now].file);
  else if (isOpen) return;
  else if (name === "o") at("find").focus();
  else if (keys[name]) at(keys[name]).click();
  else return;
  // The letter must not be typed into the field that it opens.
  event.preventDefault();
});

at("names").append(...classes.map(name => make("option", {value: name})));
at("all").append(...cases.map((_, k) => make("li", {}, make("button", {onclick: () => show(k)}))));
function start(find) {
  recall();
  for (const {file} of cases) list(file);
  show(find());
}

addEventListener("storage", () => start(() => now));
start(() => Math.max(cases.findIndex(one => !isDecided(one)), 0));
